// Columns as axes, and the names of items.

const isAccuracy = (key) =>
  Boolean(objective.accuracy) && (key === objective.key || key.endsWith("accuracy"));

// Accuracies near 1 are told apart by their errors on a log axis, turned round: up stays better. An
// error of 0 has no logarithm; it is drawn below the smallest other one.
function errorAxis(label, accuracies) {
  if (!accuracies.some((one) => one > 0.8)) return numberAxis(label, accuracies);
  const errors = accuracies.map((one) => 1 - one).filter((one) => one > 1e-9);
  const [low, high] = errors.length ? extent(errors) : [0.01, 1];
  const floor = errors.length < accuracies.length ? low / 2 : low;
  const format = (error) =>
    error <= floor && floor < low ? "1" : short(Number((1 - error).toPrecision(6)));
  return {
    label: `${label} (log error)`,
    scale: "log",
    low: floor,
    high,
    turned: true,
    at: (value) => Math.max(floor, 1 - value),
    format,
  };
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
  return {
    label,
    scale: "choice",
    names,
    low: 0,
    high: names.length - 1,
    at: (value) => places.get(String(value)) ?? null,
  };
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

function nameOf(item) {
  const names = items.count <= PALETTE.length ? describe(item).slice(0, 3) : [];
  return names.length ? names.join(", ") : called(items, item);
}

function told(item) {
  const best = isBest(item) ? ", the best" : "";
  const deviation = points?.deviation[item];
  const spread = deviation ? ` ± ${short(deviation)}` : "";
  return [
    `${called(items, item)} (${items.status[item]})${best}`,
    `${objective.name} ${short(valueOf(item))}${spread}`,
  ];
}

const shownItems = () => items.names.map((_, item) => item).filter(isShown);
