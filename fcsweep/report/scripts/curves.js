// Curves over epochs and steps: what each chart of them shows now.

const VAL_LOSS = 4; // column
const VALUE = 5;
const hasValLoss = curves.some((curve) => curve?.[VAL_LOSS].some(isNumber));
const hasAccuracy = curves.some((curve) => curve?.[3].some(isNumber)); // a quantity has none
const OF_CURVES = [
  ["loss", 1],
  ...(hasValLoss ? [["validation loss", VAL_LOSS]] : []),
  ...(hasAccuracy
    ? [
        ["train accuracy", 2],
        ["validation accuracy", 3],
      ]
    : []),
  ...(data.value_of_curves ? [[data.value_of_curves.replace("val_", "validation "), VALUE]] : []),
];

function smooth(values) {
  const weight = Number(state.smooth) || 0;
  let mean = 0;
  return values.map((value, n) => {
    mean = weight * mean + (1 - weight) * value;
    return mean / (1 - weight ** (n + 1));
  });
}

// The epochs and values of a run, where there are any.
function curveOf(run, column) {
  const curve = curves[run];
  if (!curve) return { xs: [], ys: [] };
  const kept = curve[column]
    .map((value, n) => [curve[0][n], value])
    .filter(([, value]) => value !== null);
  return { xs: kept.map(([epoch]) => epoch), ys: smooth(kept.map(([, value]) => value)) };
}

function linesOf(column, styles) {
  const lines = [];
  runs.names.forEach((_, run) => {
    if (!isRunShown(run)) return;
    const style = styles.has(itemOf[run]) && {
      ...styles.get(itemOf[run]),
      thin: runsOf(itemOf[run]).length > 1,
    };
    const { xs, ys } = curveOf(run, column);
    if (xs.length)
      lines.push({
        kind: "line",
        run,
        item: itemOf[run],
        runs: [run],
        xs,
        ys,
        style: lineStyle(style),
      });
  });
  return lines.sort((a, b) => (a.style.behind ? 0 : 1) - (b.style.behind ? 0 : 1));
}

function lineStyle(style) {
  if (!style)
    return { colour: theme.quiet, width: 0.8, alpha: runs.count > 100 ? 0.3 : 0.5, behind: true };
  return style.thin ? { ...style, dash: [], width: 0.8, alpha: 0.7 } : { ...style, width: 2 };
}

// The mean of a point over the epochs that all its runs have, and their range.
function meanOf(item, lines, style) {
  const own = lines.filter((line) => line.item === item);
  const heights = own.map((line) => new Map(line.xs.map((x, n) => [x, line.ys[n]])));
  const xs = own.length ? own[0].xs.filter((x) => heights.every((one) => one.has(x))) : [];
  if (own.length < 2 || !xs.length) return [];
  const at = xs.map((x) => heights.map((one) => one.get(x)));
  const ys = at.map((values) => values.reduce((sum, one) => sum + one, 0) / values.length);
  const band = {
    kind: "band",
    xs,
    low: at.map((values) => Math.min(...values)),
    high: at.map((values) => Math.max(...values)),
    style,
  };
  return [
    band,
    { kind: "line", mean: true, item, runs: runsOf(item), xs, ys, style: { ...style, width: 2.5 } },
  ];
}

function isLogLoss(lines) {
  const losses = (
    lines.some((line) => !line.style.behind) ? lines.filter((line) => !line.style.behind) : lines
  )
    .flatMap((line) => line.ys)
    .filter((one) => one > 0);
  const [low, high] = losses.length ? extent(losses) : [1, 1];
  return high > 10 * Math.max(low, 1e-4) !== isLog("loss");
}

function curvesChart([label, column]) {
  return () => {
    const styles = toldApart();
    const lines = linesOf(column, styles);
    const means = points ? [...styles].flatMap(([item, style]) => meanOf(item, lines, style)) : [];
    const front = lines.filter((line) => !line.style.behind);
    const values = (front.length ? front : lines).flatMap((line) => line.ys);
    const isLoss = column === 1 || column === VAL_LOSS;
    const log = isLoss && isLogLoss(lines);
    const named =
      isLoss
        ? numberAxis(`${label} (${data.unit_of_loss})`, values, { log })
        : isLogError()
          ? errorAxis(label, values)
          : numberAxis(label, values);
    const epochs = lines.flatMap((line) => [line.xs[0], line.xs.at(-1)]);
    const marks = [
      ...means.filter((one) => one.kind === "band"),
      ...lines,
      ...means.filter((one) => one.kind === "line"),
    ];
    return {
      x: numberAxis("epoch", epochs, { whole: true }),
      y: named,
      marks: marks.map((mark) => withHeights(mark, named, label)),
      legend:
        column === 1
          ? [...styles].map(([item, style]) => ({ ...style, text: legendOf(item) }))
          : [],
      numbers: () => numbersOfCurves(lines),
    };
  };
}

function legendOf(item) {
  return `${isBest(item) ? "★ " : ""}${nameOf(item)}`;
}

function withHeights(mark, axis, label) {
  if (mark.kind === "band")
    return { ...mark, low: mark.low.map(axis.at), high: mark.high.map(axis.at) };
  const kept = mark.xs.map((x, n) => [x, axis.at(mark.ys[n]), n]).filter(([, y]) => y !== null);
  const who = mark.mean ? called(items, mark.item) : called(runs, mark.run);
  const said = (n) => [
    `${who}${mark.mean ? ", mean" : ""}`,
    `epoch ${mark.xs[kept[n][2]]}: ${label} ${short(mark.ys[kept[n][2]])}`,
  ];
  return { ...mark, xs: kept.map(([x]) => x), ys: kept.map(([, y]) => y), told: said };
}

function numbersOfCurves(lines) {
  const rows = lines.flatMap(({ run }) => {
    const [epochs, ...columns] = curves[run];
    return epochs.map((epoch, n) => [runs.names[run], epoch, ...columns.map((one) => one[n])]);
  });
  const head = ["trial", "epoch", "loss", "train_accuracy", "val_accuracy", "val_loss"];
  const own = data.value_of_curves ? [data.value_of_curves] : [];
  return { head: [...head, ...own], rows };
}

// --- A single run ---------------------------------------------------------------------------------

// The losses on the validation rows, each at the last step of its epoch.
function valLossLine(steps) {
  const { xs, ys } = curveOf(0, VAL_LOSS);
  const perEpoch = steps.at(-1) / curves[0][0].at(-1);
  const style = { colour: PALETTE[1], dash: DASHES[1], width: 2 };
  return { kind: "line", runs: [0], xs: xs.map((epoch) => epoch * perEpoch), ys, style };
}

function stepsChart() {
  const [xs, losses] = data.steps ?? [[], []];
  const style = { colour: PALETTE[0], dash: [], width: 1.5 };
  const trained = { kind: "line", runs: [0], xs, ys: smooth(losses), style };
  const lines = [trained, ...(hasValLoss && xs.length ? [valLossLine(xs)] : [])];
  const values = lines.flatMap((line) => line.ys);
  const axis = numberAxis(`loss (${data.unit_of_loss})`, values, { log: isLogLoss([trained]) });
  const names = ["minibatch", "validation, without the L2 term"];
  const marks = lines.map((line, n) => ({
    ...withHeights({ ...line, run: 0, item: undefined }, axis, "loss"),
    told: (at) => [names[n], `step ${line.xs[at]}: loss ${short(line.ys[at])}`],
  }));
  return {
    x: numberAxis("step (updates)", xs, { whole: true }),
    y: axis,
    marks,
    legend: lines.length > 1 ? names.map((text, n) => ({ ...lines[n].style, text })) : [],
    numbers: () => ({ head: ["step", "loss"], rows: xs.map((x, n) => [x, losses[n]]) }),
  };
}

function accuracyChart() {
  const lines = [2, 3].map((column) => ({ ...curveOf(0, column), column }));
  const values = lines.flatMap((line) => line.ys);
  const axis = isLogError() ? errorAxis("accuracy", values) : numberAxis("accuracy", values);
  const names = ["train accuracy", "validation accuracy"];
  const marks = lines.map((line, n) => ({
    ...withHeights({ ...line, kind: "line", run: 0, runs: [0] }, axis, names[n]),
    style: { colour: PALETTE[n], dash: DASHES[n], width: 2 },
    told: (at) => [names[n], `epoch ${line.xs[at]}: ${short(line.ys[at])}`],
  }));
  return {
    x: numberAxis(
      "epoch",
      lines.flatMap((line) => line.xs),
      { whole: true },
    ),
    y: axis,
    marks: marks.filter((mark) => mark.xs.length),
    legend: names.map((text, n) => ({ text, colour: PALETTE[n], dash: DASHES[n] })),
    numbers: () => numbersOfCurves([{ run: 0 }]),
  };
}
