// The data of the page: tables by column, and what is compared.

const data = JSON.parse(document.getElementById("data").textContent);

// Keys in which the repeats of a point may differ.
const REPEATED = ["seed", "data.fold"];

class Table {
  constructor(part) {
    Object.assign(this, part);
    this.count = part.names.length;
  }

  column(key) {
    return this.columns.find((column) => column.key === key);
  }

  // The column that a reader calls so: by its heading, or by its full name.
  named(name) {
    const plain = (text) => text.toLowerCase().replaceAll(/[ _]/g, "");
    return this.columns.find((one) =>
      [one.name, one.key].some((text) => plain(text) === plain(name)),
    );
  }

  // What was searched; without a word of that, what differs.
  get searched() {
    const searched = this.columns.filter((column) => column.searched && !REPEATED.includes(column.key));
    return searched.length ? searched : this.given;
  }

  get given() {
    return this.columns.filter((column) => column.given);
  }
}

// The epochs, losses, accuracies, validation losses and, if recorded, values of the objective of
// each run; null where there are none.
const curves = data.curves.map((curve) => {
  if (!curve) return null;
  const [epochs, losses, train, val, valLosses, values] = curve;
  const [trained, validated] = [train, val].map((all) =>
    all.map((one) => one && Number((one * data.unit_of_accuracies).toFixed(6))),
  );
  const missing = losses.map(() => null); // of a run that was recorded without
  const own = data.value_of_curves ? [values ?? missing] : [];
  const every = epochs ?? losses.map((_, n) => n + 1);
  return [every, losses, trained, validated, valLosses ?? missing, ...own];
});

const runs = new Table(data.runs);
const points = data.points && new Table(data.points);
const items = points || runs; // what is compared: runs, or points of repeats
const runsOf = (item) => (points ? points.runs[item] : [item]);
const itemOf = [];
for (let item = 0; item < items.count; item++) for (const run of runsOf(item)) itemOf[run] = item;

const objective = data.objectives[0];
const valueOf = (item) => items.column(objective.key).values[item];
const better = (a, b) => (objective.minimize ? a < b : a > b);
const isNumber = (value) => typeof value === "number";
const hasValue = (item) => valueOf(item) !== null;

// Items with a value, the best first; of points with a failed seed none comes before the others.
const ranked = items.names.map((_, item) => item).filter(hasValue);
ranked.sort(
  (a, b) =>
    isBest(b) - isBest(a) ||
    (better(valueOf(a), valueOf(b)) ? -1 : better(valueOf(b), valueOf(a)) ? 1 : 0),
);

function isBest(item) {
  return items.best.includes(item) ? 1 : 0;
}

function short(value) {
  if (value === null || value === undefined) return "–";
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const text = Number(value.toPrecision(4));
  return Math.abs(text) >= 1e6 || (text !== 0 && Math.abs(text) < 1e-4)
    ? text.toExponential()
    : String(text);
}

function called(table, row) {
  return (table.names[row].includes(", ") ? "trials " : "trial ") + table.names[row];
}

const extent = (numbers) =>
  numbers.reduce(
    ([low, high], one) => [Math.min(low, one), Math.max(high, one)],
    [Infinity, -Infinity],
  );

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
