// What the reader has chosen. It is in the address, so that a link or a reload shows the same.

const CHOICES = {
  filter: "",
  hide: "",
  x: "",
  y: "",
  colour: "",
  sort: "",
  log: "",
  smooth: "",
  brush: "",
  live: "",
};
const state = { ...CHOICES, selected: [] }; // selected: runs, in the order in which they were chosen
const listeners = [];
let keeps = () => true; // the filter
let hovered = []; // runs under the pointer

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(CHOICES)) state[name] = asked.get(name) ?? CHOICES[name];
  const wanted = (asked.get("trial") ?? "").split(",").filter(Boolean);
  state.selected = wanted.map((name) => runs.names.indexOf(name)).filter((run) => run >= 0);
}

function writeAddress() {
  const told = new URLSearchParams();
  if (state.selected.length)
    told.set("trial", state.selected.map((run) => runs.names[run]).join(","));
  for (const name of Object.keys(CHOICES))
    if (state[name] !== CHOICES[name]) told.set(name, state[name]);
  const text = told.toString().replaceAll("%2C", ",");
  if (text !== location.hash.slice(1)) history.replaceState(null, "", `#${text}`);
}

function change(choice) {
  Object.assign(state, choice);
  writeAddress();
  refresh();
}

function refresh() {
  const filter = filterOf(state.filter);
  keeps = filter instanceof Error ? () => true : filter;
  state.error = filter instanceof Error ? filter.message : "";
  for (const listener of listeners) listener();
}

// A click on a trial selects it, another one takes it back.
function toggle(some) {
  const all = some.every((run) => state.selected.includes(run));
  const others = state.selected.filter((run) => !some.includes(run));
  change({ selected: all ? others : [...others, ...some] });
}

function listOf(name) {
  return state[name] ? state[name].split(",") : [];
}

function flip(name, word) {
  const words = listOf(name);
  change({
    [name]: (words.includes(word) ? words.filter((one) => one !== word) : [...words, word]).join(
      ",",
    ),
  });
}

const isLog = (what) => listOf("log").includes(what);
const isHidden = (status) => listOf("hide").includes(status);

// Brushes of the parallel axes: the part of each axis that is kept, by column.
function brushes() {
  const all = new Map();
  for (const part of state.brush ? state.brush.split(";") : []) {
    const [low, high] = part.split(":").slice(-2).map(Number);
    all.set(part.split(":").slice(0, -2).join(":"), [low, high]);
  }
  return all;
}

function brush(key, range) {
  const all = brushes();
  if (range)
    all.set(
      key,
      range.map((one) => Number(one.toFixed(3))),
    );
  else all.delete(key);
  change({ brush: Array.from(all, ([name, [low, high]]) => `${name}:${low}:${high}`).join(";") });
}

function inBrushes(item) {
  return Array.from(brushes()).every(([key, [low, high]]) => {
    const height = heightOf(key, item);
    return height !== null && height >= low && height <= high;
  });
}

function isShown(item) {
  if (runsOf(item).every((run) => isHidden(runs.status[run]))) return false;
  return keeps(items, item) && inBrushes(item);
}

function isRunShown(run) {
  return !isHidden(runs.status[run]) && isShown(itemOf[run]);
}

const isSelected = (some) => some.some((run) => state.selected.includes(run));

function hover(some) {
  if (some.join() === hovered.join()) return;
  hovered = some;
  for (const chart of charts) chart.highlight();
}
