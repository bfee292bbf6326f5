// Ranges and ticks of axes, for uPlot.

function tickStep(width, count) {
  const rough = width / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((one) => one * power >= rough * 0.999);
}

function linearTicks(low, high, count) {
  const step = tickStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) =>
    Number(((first + n) * step).toPrecision(12)),
  );
}

function logTicks(low, high, count) {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return linearTicks(low, high, count).filter((one) => one > 0);
  const ladder = decades * 3 <= count ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil(decades / Math.max(1, count)));
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    if (power % every === 0) for (const one of ladder) ticks.push(Number(`${one}e${power}`));
  return ticks.filter((one) => one >= low * 0.999 && one <= high * 1.001);
}

// A range with some room for the marks at its ends.
function roomy(axis) {
  const { low, high } = axis;
  if (axis.scale === "choice") return [-0.5, axis.names.length - 0.5];
  if (axis.scale === "log") {
    const room = (high / low) ** 0.05;
    return high > low ? [low / room, high * room] : [low / 2, high * 2];
  }
  const room = (high - low) * 0.05 || Math.abs(high) * 0.1 || 0.5;
  return [low - room, high + room];
}

function scaleOf(axis) {
  return {
    distr: axis.scale === "log" ? 3 : 1,
    auto: false,
    dir: axis.turned ? -1 : 1,
    range: (_, low, high) => [low, high],
  };
}

function axisOf(axis, which) {
  const names = (value) =>
    axis.scale === "choice"
      ? (axis.names[value] ?? "")
      : axis.format
        ? axis.format(value)
        : short(value);
  const space = which === "x" ? 70 : 26;
  return {
    scale: which,
    label: axis.label,
    labelSize: 20,
    labelGap: 2,
    labelFont: FONT,
    font: FONT,
    stroke: theme.ink,
    grid: { stroke: theme.line, width: 1 },
    ticks: { stroke: theme.line, width: 1, size: 4 },
    gap: 4,
    size: (plot, texts) =>
      which === "x"
        ? 28
        : Math.min(
            plot.width / 3,
            14 + Math.max(8, ...(texts ?? []).map((text) => widthOf(text ?? ""))),
          ),
    splits: (plot, _, low, high) =>
      ticksOf(
        axis,
        low,
        high,
        Math.max(2, Math.floor((which === "x" ? plot.width - 60 : plot.height - 60) / space)),
      ),
    filter: (_, ticks) => ticks,
    values: (plot, ticks) =>
      ticks.map((tick) => cut(String(names(tick)), which === "x" ? 84 : plot.width / 3 - 16)),
  };
}

function ticksOf(axis, low, high, count) {
  if (axis.scale === "choice")
    return axis.names.map((_, n) => n).filter((n) => n >= low && n <= high);
  if (axis.turned && axis.scale === "log") return errorTicks(low, high, count);
  if (axis.scale === "log") return logTicks(low, high, count);
  const ticks = linearTicks(low, high, count);
  return axis.whole ? ticks.filter(Number.isInteger) : ticks;
}

// Errors at which the accuracies are plain: 0.5, 0.8, 0.9, 0.95, 0.98, 0.99.
function errorTicks(low, high, count) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= 0; power++)
    for (const one of [1, 2, 5]) ticks.push(Number(`${one}e${power}`));
  const kept = ticks.filter((one) => one >= low * 0.999 && one <= Math.min(1, high * 1.001));
  return kept.length > count
    ? kept.filter((one) => /^(1|0\.0*1$|1e)/.test(String(one)))
    : kept.length > 2
      ? kept
      : linearTicks(low, high, count);
}
