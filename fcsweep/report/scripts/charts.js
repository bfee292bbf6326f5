// What each chart shows: its axes and marks, from the runs that are shown.

const OF_CURVES = [["loss", 1], ["train accuracy", 2], ["validation accuracy", 3]];
const MOST_REPEATS = 12; // points told apart by their seeds

// --- Axes of columns ------------------------------------------------------------------------------

const isAccuracy = (key) => Boolean(objective.accuracy) && (key === objective.key || key.endsWith("accuracy"));

// Accuracies near 1 are told apart by their errors on a log axis, turned round: up stays better. An
// error of 0 has no logarithm; it is drawn below the smallest other one.
function errorAxis(label, accuracies) {
  if (!accuracies.some((one) => one > 0.8)) return numberAxis(label, accuracies);
  const errors = accuracies.map((one) => 1 - one).filter((one) => one > 1e-9);
  const [low, high] = errors.length ? extent(errors) : [0.01, 1];
  const floor = errors.length < accuracies.length ? low / 2 : low;
  const format = (error) => (error <= floor && floor < low ? "1" : short(Number((1 - error).toPrecision(6))));
  return { label: `${label} (log error)`, scale: "log", low: floor, high, turned: true, at: (value) => Math.max(floor, 1 - value), format };
}

// Where the best comes near 1, it is what a page starts with.
const nearOne = () => ranked.length > 0 && valueOf(ranked[0]) > 0.9;
const isLogError = () => Boolean(objective.accuracy) && nearOne() !== isLog("error");

function numberAxis(label, values, { log = false, ...more } = {}) {
  const kept = values.filter((one) => isNumber(one) && (!log || one > 0));
  const [low, high] = kept.length ? extent(kept) : log ? [0.1, 1] : [0, 1];
  const at = (value) => (isNumber(value) && (!log || value > 0) ? value : null);
  return { label, scale: log ? "log" : "linear", low, high, at, ...more };
}

function choiceAxis(label, values) {
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  const names = [...new Set(values.filter((one) => one !== null).map(String))].sort(order);
  const places = new Map(names.map((name, n) => [name, n]));
  return { label, scale: "choice", names, low: 0, high: names.length - 1, at: (value) => places.get(String(value)) ?? null };
}

const axesOfColumns = new Map(); // as they are in this state
listeners.push(() => axesOfColumns.clear());

function axisOfColumn(key) {
  if (!axesOfColumns.has(key)) axesOfColumns.set(key, makeAxis(items.column(key)));
  return axesOfColumns.get(key);
}

function makeAxis({ key, name, kind, values }) {
  const label = key === objective.key ? objective.name : name;
  if (kind === "choice") return choiceAxis(label, values);
  if (isAccuracy(key) && isLogError()) return errorAxis(label, values.filter(isNumber));
  return numberAxis(label, values, { log: kind === "log" });
}

// Where an item is on the axis of a column: from 0 at its lower end to 1.
function heightOf(key, item) {
  const axis = axisOfColumn(key);
  const at = axis.at(items.column(key).values[item]);
  if (at === null || items.column(key).values[item] === null) return null;
  const scaled = axis.scale === "log" ? Math.log : Number;
  const [low, high] = [scaled(axis.low), scaled(axis.high)];
  const height = high > low ? (scaled(at) - low) / (high - low) : 0.5;
  return axis.turned ? 1 - height : height;
}

// --- Names and colours ----------------------------------------------------------------------------

function nameOf(item) {
  const names = items.count <= PALETTE.length ? describe(item).slice(0, 3) : [];
  return names.length ? names.join(", ") : called(items, item);
}

function told(item) {
  const best = isBest(item) ? ", the best" : "";
  const deviation = points?.deviation[item];
  const spread = deviation ? ` ± ${short(deviation)}` : "";
  return [`${called(items, item)} (${items.status[item]})${best}`, `${objective.name} ${short(valueOf(item))}${spread}`];
}

const shownItems = () => items.names.map((_, item) => item).filter(isShown);

// --- Curves ---------------------------------------------------------------------------------------

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
  const kept = curve[column].map((value, n) => [curve[0][n], value]).filter(([, value]) => value !== null);
  return { xs: kept.map(([epoch]) => epoch), ys: smooth(kept.map(([, value]) => value)) };
}

function linesOf(column, styles) {
  const lines = [];
  runs.names.forEach((_, run) => {
    if (!isRunShown(run)) return;
    const style = styles.has(itemOf[run]) && { ...styles.get(itemOf[run]), thin: runsOf(itemOf[run]).length > 1 };
    const { xs, ys } = curveOf(run, column);
    if (xs.length) lines.push({ kind: "line", run, item: itemOf[run], runs: [run], xs, ys, style: lineStyle(style) });
  });
  return lines.sort((a, b) => (a.style.behind ? 0 : 1) - (b.style.behind ? 0 : 1));
}

function lineStyle(style) {
  if (!style) return { colour: theme.quiet, width: 0.8, alpha: runs.count > 100 ? 0.3 : 0.5, behind: true };
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
  const band = { kind: "band", xs, low: at.map((values) => Math.min(...values)), high: at.map((values) => Math.max(...values)), style };
  return [band, { kind: "line", mean: true, item, runs: runsOf(item), xs, ys, style: { ...style, width: 2.5 } }];
}

function isLogLoss(lines) {
  const losses = (lines.some((line) => !line.style.behind) ? lines.filter((line) => !line.style.behind) : lines).flatMap((line) => line.ys).filter((one) => one > 0);
  const [low, high] = losses.length ? extent(losses) : [1, 1];
  return (high > 10 * Math.max(low, 1e-4)) !== isLog("loss");
}

function curvesChart([label, column]) {
  return () => {
    const styles = toldApart();
    const lines = linesOf(column, styles);
    const means = points ? [...styles].flatMap(([item, style]) => meanOf(item, lines, style)) : [];
    const front = lines.filter((line) => !line.style.behind);
    const values = (front.length ? front : lines).flatMap((line) => line.ys);
    const log = column === 1 && isLogLoss(lines);
    const named = column === 1 ? numberAxis(`loss (${data.unit_of_loss})`, values, { log }) : isLogError() ? errorAxis(label, values) : numberAxis(label, values);
    const epochs = lines.flatMap((line) => [line.xs[0], line.xs.at(-1)]);
    const marks = [...means.filter((one) => one.kind === "band"), ...lines, ...means.filter((one) => one.kind === "line")];
    return {
      x: numberAxis("epoch", epochs, { whole: true }),
      y: named,
      marks: marks.map((mark) => withHeights(mark, named, label)),
      legend: column === 1 ? [...styles].map(([item, style]) => ({ ...style, text: legendOf(item) })) : [],
      numbers: () => numbersOfCurves(lines),
    };
  };
}

function legendOf(item) {
  return `${isBest(item) ? "★ " : ""}${nameOf(item)}`;
}

function withHeights(mark, axis, label) {
  if (mark.kind === "band") return { ...mark, low: mark.low.map(axis.at), high: mark.high.map(axis.at) };
  const kept = mark.xs.map((x, n) => [x, axis.at(mark.ys[n]), n]).filter(([, y]) => y !== null);
  const who = mark.mean ? called(items, mark.item) : called(runs, mark.run);
  const said = (n) => [`${who}${mark.mean ? ", mean" : ""}`, `epoch ${mark.xs[kept[n][2]]}: ${label} ${short(mark.ys[kept[n][2]])}`];
  return { ...mark, xs: kept.map(([x]) => x), ys: kept.map(([, y]) => y), told: said };
}

function numbersOfCurves(lines) {
  const rows = lines.flatMap(({ run }) => {
    const [epochs, ...columns] = curves[run];
    return epochs.map((epoch, n) => [runs.names[run], epoch, ...columns.map((one) => one[n])]);
  });
  return { head: ["trial", "epoch", "loss", "train_accuracy", "val_accuracy"], rows };
}

// --- A single run ---------------------------------------------------------------------------------

function stepsChart() {
  const [xs, losses] = data.steps ?? [[], []];
  const ys = smooth(losses);
  const style = { colour: PALETTE[0], dash: [], width: 1.5 };
  const line = { kind: "line", runs: [0], xs, ys, style };
  const axis = numberAxis(`loss (${data.unit_of_loss})`, ys, { log: isLogLoss([line]) });
  const mark = { ...withHeights({ ...line, run: 0, item: undefined }, axis, "loss"), told: (n) => [`step ${xs[n]}`, `loss ${short(ys[n])}`] };
  return { x: numberAxis("step (updates)", xs, { whole: true }), y: axis, marks: [mark], numbers: () => ({ head: ["step", "loss"], rows: xs.map((x, n) => [x, losses[n]]) }) };
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
    x: numberAxis("epoch", lines.flatMap((line) => line.xs), { whole: true }),
    y: axis,
    marks: marks.filter((mark) => mark.xs.length),
    legend: names.map((text, n) => ({ text, colour: PALETTE[n], dash: DASHES[n] })),
    numbers: () => numbersOfCurves([{ run: 0 }]),
  };
}

// --- History and landscape ------------------------------------------------------------------------

const shapeOf = (item) => (items.status[item] === "pruned" ? "triangle" : SHAPES[items.verdict[item]] ?? "disc");
const isTold = (verdict) => !["learns nothing", "diverges", "failed", "has no value"].includes(verdict);

const poorColour = (verdict) => (verdict === "learns nothing" ? theme.quiet : PALETTE[4]);

function shapesShown(shown) {
  const names = new Map(shown.map((item) => [items.status[item] === "pruned" ? "pruned" : items.verdict[item], shapeOf(item)]));
  return [...names].map(([text, shape]) => ({ text, shape, colour: isTold(text) ? theme.ink : poorColour(text), size: 4 }));
}

// The number of a trial; of a point its place; in a comparison its place in its sweep.
const numbered = !points && items.names.every((name) => /^\d+$/.test(name));
const groupOf = data.compared ? items.column("compared.sweep").values : items.names.map(() => "");
const places = new Map();
const numberOfItems = items.names.map((name, item) => {
  places.set(groupOf[item], (places.get(groupOf[item]) ?? -1) + 1);
  return numbered ? Number(name) : places.get(groupOf[item]);
});
const groups = [...places.keys()];
const groupColour = (item) => PALETTE[groups.indexOf(groupOf[item]) % PALETTE.length];
const numberOf = (item) => numberOfItems[item];

function historyChart() {
  const shown = shownItems().filter(hasValue);
  const axis = axisOfColumn(objective.key);
  const dots = shown.map((item) => ({
    kind: "dot",
    item,
    runs: runsOf(item),
    xs: [numberOf(item)],
    ys: [axis.at(valueOf(item))],
    style: { shape: shapeOf(item), size: 4, colour: isTold(items.verdict[item]) ? groupColour(item) : poorColour(items.verdict[item]) },
    ring: isBest(item),
    told: () => told(item),
  }));
  const soFar = groups.map((group, n) => stepsOf(shown.filter((item) => groupOf[item] === group), axis, groups.length > 1 ? n : 1));
  const marks = [...soFar.filter((line) => line.xs.length), ...targetRule(axis), ...dots];
  return {
    x: numberAxis(points ? "point, in the order of its first trial" : "trial", shown.map(numberOf), { whole: true }),
    y: withTarget(axis, shown),
    marks,
    legend: [...soFar.map(({ style }, n) => ({ ...style, text: `best so far${groups.length > 1 ? ` of ${groups[n]}` : ""}` })), ...shapesShown(shown)],
    numbers: () => ({ head: ["trial", "status", objective.name], rows: shown.map((item) => [items.names[item], items.status[item], valueOf(item)]) }),
  };
}

function stepsOf(shown, axis, colour) {
  const steps = bestSoFar(shown);
  const style = { colour: PALETTE[colour % PALETTE.length], dash: [], width: 2 };
  return { kind: "line", xs: steps.flatMap(([x, , next]) => [x, next]), ys: steps.flatMap(([, y]) => [axis.at(y), axis.at(y)]), style };
}

function withTarget(axis, shown) {
  const at = [...shown.map((item) => axis.at(valueOf(item))), ...targetRule(axis).map((rule) => rule.y)];
  const [low, high] = at.length ? extent(at) : [axis.low, axis.high];
  return { ...axis, low, high };
}

function targetRule(axis) {
  if (data.target === null || data.objectives.length > 1) return [];
  return [{ kind: "rule", y: axis.at(data.target), style: { colour: theme.ink, dash: [2, 3], width: 1 }, text: `target ${short(data.target)}` }];
}

// Steps of [from, value, to]: the best value up to each item.
function bestSoFar(shown) {
  const order = [...shown].sort((a, b) => numberOf(a) - numberOf(b));
  let best = null;
  return order.map((item, n) => {
    if (best === null || better(valueOf(item), best)) best = valueOf(item);
    return [numberOf(item), best, numberOf(order[n + 1] ?? item)];
  });
}

// The two columns of the landscape, and that of its colour, as chosen or as matters most.
function plane() {
  const names = Object.keys(data.importance);
  const bare = (column) => column.key.replace(/^params\./, "");
  const rank = (column) => (names.includes(bare(column)) ? names.indexOf(bare(column)) : names.length + (column.kind === "choice" ? 1 : 0));
  const usual = items.given.filter((column) => column.key !== "seed" && column.key !== "compared.sweep").sort((a, b) => rank(a) - rank(b));
  const several = data.objectives.length > 1 ? data.objectives.map((one) => items.column(one.key)) : [];
  const [x, y] = [...several, ...usual, ...items.columns];
  const chosen = (name, otherwise) => (state[name] && items.column(state[name])) || otherwise;
  return [chosen("x", x), chosen("y", y), chosen("colour", items.column(objective.key))];
}

function landscapeChart() {
  const [x, y, colour] = plane();
  const [across, up] = [axisOfColumn(x.key), axisOfColumn(y.key)];
  const shade = axisOfColumn(colour.key);
  const shown = shownItems().filter((item) => [x, y].every((one) => one.values[item] !== null && axisOfColumn(one.key).at(one.values[item]) !== null));
  const spot = (axis, column, item, turn) => axis.at(column.values[item]) + (axis.scale === "choice" ? 0.3 * (((item * turn) % 1) - 0.5) : 0);
  const dots = shown.map((item) => ({
    kind: "dot",
    item,
    runs: runsOf(item),
    xs: [spot(across, x, item, 0.618)],
    ys: [spot(up, y, item, 0.382)],
    style: { shape: shapeOf(item), size: 5, colour: dotColour(item, colour, shade) },
    ring: isBest(item),
    text: isBest(item) && items.best.length === 1 ? "best" : "",
    told: () => told(item),
  }));
  dots.sort((a, b) => isBest(a.item) - isBest(b.item));
  return { x: across, y: up, marks: dots, legend: [...rampLegend(shade), ...shapesShown(shown)], numbers: () => numbersOf(shown, [x, y, colour]) };
}

function dotColour(item, column, shade) {
  if (column.key === objective.key && !isTold(items.verdict[item])) return poorColour(items.verdict[item]);
  if (shade.scale === "choice") return PALETTE[(shade.at(column.values[item]) ?? 0) % PALETTE.length];
  return rampColour(heightOf(column.key, item));
}

function rampLegend(shade) {
  if (shade.scale === "choice") return shade.names.slice(0, PALETTE.length).map((text, n) => ({ text: `${shade.label} ${text}`, shape: "disc", colour: PALETTE[n] }));
  const ends = shade.turned ? [shade.high, shade.low] : [shade.low, shade.high];
  return [{ ramp: true, text: `${shade.label} ${ends.map(shade.format ?? short).join(" to ")}` }];
}

function numbersOf(shown, columns) {
  const told = [...new Set(columns)];
  return { head: [points ? "trials" : "trial", "status", ...told.map((one) => one.name)], rows: shown.map((item) => [items.names[item], items.status[item], ...told.map((one) => one.values[item])]) };
}

// --- Repeats --------------------------------------------------------------------------------------

function repeatsChart() {
  const first = ranked.filter((item) => isShown(item) && runsOf(item).length > 1).slice(0, MOST_REPEATS);
  const values = runs.column(objective.key).values;
  const each = first.flatMap((item) => runsOf(item).filter((run) => values[run] !== null).map((run) => [item, run]));
  const axis = isAccuracy(objective.key) && isLogError() ? errorAxis(objective.name, each.map(([, run]) => values[run])) : numberAxis(runs.column(objective.key).name === objective.name ? objective.name : "value", each.map(([, run]) => values[run]));
  const dots = each.map(([item, run]) => ({
    kind: "dot",
    item,
    runs: [run],
    xs: [axis.at(values[run])],
    ys: [first.indexOf(item)],
    style: { shape: "disc", size: 4, alpha: 0.8, colour: PALETTE[first.indexOf(item) % PALETTE.length] },
    told: () => [called(runs, run), short(values[run])],
  }));
  const means = first.map((item, n) => ({
    kind: "dot",
    item,
    runs: runsOf(item),
    xs: [axis.at(valueOf(item))],
    ys: [n],
    style: { shape: "bar", size: 7, colour: theme.ink },
    told: () => told(item),
  }));
  const named = { ...choiceAxis(points ? "" : "", []), names: first.map(legendOf), turned: true, label: "point" };
  return { x: axis, y: named, marks: [...dots, ...means], numbers: () => ({ head: ["trial", "point", "value"], rows: each.map(([item, run]) => [runs.names[run], items.names[item], values[run]]) }) };
}
