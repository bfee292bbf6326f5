// Values over trials and parameters: what each chart of them shows now.

const MOST_REPEATS = 12; // points told apart by their seeds

// --- History and landscape ------------------------------------------------------------------------

const shapeOf = (item) =>
  items.status[item] === "pruned" ? "triangle" : (SHAPES[items.verdict[item]] ?? "disc");
const isTold = (verdict) =>
  !["learns nothing", "diverges", "failed", "has no value"].includes(verdict);

const poorColour = (verdict) => (verdict === "learns nothing" ? theme.quiet : PALETTE[4]);

function shapesShown(shown) {
  const names = new Map(
    shown.map((item) => [
      items.status[item] === "pruned" ? "pruned" : items.verdict[item],
      shapeOf(item),
    ]),
  );
  return [...names].map(([text, shape]) => ({
    text,
    shape,
    colour: isTold(text) ? theme.ink : poorColour(text),
    size: 4,
  }));
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
    style: {
      shape: shapeOf(item),
      size: 4,
      colour: isTold(items.verdict[item]) ? groupColour(item) : poorColour(items.verdict[item]),
    },
    ring: isBest(item),
    told: () => told(item),
  }));
  const soFar = groups.map((group, n) =>
    stepsOf(
      shown.filter((item) => groupOf[item] === group),
      axis,
      groups.length > 1 ? n : 1,
    ),
  );
  const marks = [...soFar.filter((line) => line.xs.length), ...targetRule(axis), ...dots];
  return {
    x: numberAxis(
      points ? "point, in the order of its first trial" : "trial",
      shown.map(numberOf),
      { whole: true },
    ),
    y: withTarget(axis, shown),
    marks,
    legend: [
      ...soFar.map(({ style }, n) => ({
        ...style,
        text: `best so far${groups.length > 1 ? ` of ${groups[n]}` : ""}`,
      })),
      ...shapesShown(shown),
    ],
    numbers: () => ({
      head: ["trial", "status", objective.name],
      rows: shown.map((item) => [items.names[item], items.status[item], valueOf(item)]),
    }),
  };
}

function stepsOf(shown, axis, colour) {
  const steps = bestSoFar(shown);
  const style = { colour: PALETTE[colour % PALETTE.length], dash: [], width: 2 };
  return {
    kind: "line",
    xs: steps.flatMap(([x, , next]) => [x, next]),
    ys: steps.flatMap(([, y]) => [axis.at(y), axis.at(y)]),
    style,
  };
}

function withTarget(axis, shown) {
  const at = [
    ...shown.map((item) => axis.at(valueOf(item))),
    ...targetRule(axis).map((rule) => rule.y),
  ];
  const [low, high] = at.length ? extent(at) : [axis.low, axis.high];
  return { ...axis, low, high };
}

function targetRule(axis) {
  if (data.target === null || data.objectives.length > 1) return [];
  return [
    {
      kind: "rule",
      y: axis.at(data.target),
      style: { colour: theme.ink, dash: [2, 3], width: 1 },
      text: `target ${short(data.target)}`,
    },
  ];
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
  const rank = (column) =>
    names.includes(bare(column))
      ? names.indexOf(bare(column))
      : names.length + (column.kind === "choice" ? 1 : 0);
  const usual = items.given
    .filter((column) => !REPEATED.includes(column.key) && column.key !== "compared.sweep")
    .sort((a, b) => rank(a) - rank(b));
  const several =
    data.objectives.length > 1 ? data.objectives.map((one) => items.column(one.key)) : [];
  const [x, y] = [...several, ...usual, ...items.columns];
  const chosen = (name, otherwise) => (state[name] && items.column(state[name])) || otherwise;
  return [chosen("x", x), chosen("y", y), chosen("colour", items.column(objective.key))];
}

function landscapeChart() {
  const [x, y, colour] = plane();
  const [across, up] = [axisOfColumn(x.key), axisOfColumn(y.key)];
  const shade = axisOfColumn(colour.key);
  const shown = shownItems().filter((item) =>
    [x, y].every(
      (one) => one.values[item] !== null && axisOfColumn(one.key).at(one.values[item]) !== null,
    ),
  );
  const spot = (axis, column, item, turn) =>
    axis.at(column.values[item]) +
    (axis.scale === "choice" ? 0.3 * (((item * turn) % 1) - 0.5) : 0);
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
  return {
    x: across,
    y: up,
    marks: dots,
    legend: [...rampLegend(shade), ...shapesShown(shown)],
    numbers: () => numbersOf(shown, [x, y, colour]),
  };
}

function dotColour(item, column, shade) {
  if (column.key === objective.key && !isTold(items.verdict[item]))
    return poorColour(items.verdict[item]);
  if (shade.scale === "choice")
    return PALETTE[(shade.at(column.values[item]) ?? 0) % PALETTE.length];
  return rampColour(heightOf(column.key, item));
}

function rampLegend(shade) {
  if (shade.scale === "choice")
    return shade.names
      .slice(0, PALETTE.length)
      .map((text, n) => ({ text: `${shade.label} ${text}`, shape: "disc", colour: PALETTE[n] }));
  const ends = shade.turned ? [shade.high, shade.low] : [shade.low, shade.high];
  return [{ ramp: true, text: `${shade.label} ${ends.map(shade.format ?? short).join(" to ")}` }];
}

function numbersOf(shown, columns) {
  const told = [...new Set(columns)];
  return {
    head: [points ? "trials" : "trial", "status", ...told.map((one) => one.name)],
    rows: shown.map((item) => [
      items.names[item],
      items.status[item],
      ...told.map((one) => one.values[item]),
    ]),
  };
}

// --- Repeats --------------------------------------------------------------------------------------

function repeatsChart() {
  const first = ranked
    .filter((item) => isShown(item) && runsOf(item).length > 1)
    .slice(0, MOST_REPEATS);
  const values = runs.column(objective.key).values;
  const each = first.flatMap((item) =>
    runsOf(item)
      .filter((run) => values[run] !== null)
      .map((run) => [item, run]),
  );
  const axis =
    isAccuracy(objective.key) && isLogError()
      ? errorAxis(
          objective.name,
          each.map(([, run]) => values[run]),
        )
      : numberAxis(
          runs.column(objective.key).name === objective.name ? objective.name : "value",
          each.map(([, run]) => values[run]),
        );
  const dots = each.map(([item, run]) => ({
    kind: "dot",
    item,
    runs: [run],
    xs: [axis.at(values[run])],
    ys: [first.indexOf(item)],
    style: {
      shape: "disc",
      size: 4,
      alpha: 0.8,
      colour: PALETTE[first.indexOf(item) % PALETTE.length],
    },
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
  const named = {
    ...choiceAxis(points ? "" : "", []),
    names: first.map(legendOf),
    turned: true,
    label: "point",
  };
  return {
    x: axis,
    y: named,
    marks: [...dots, ...means],
    numbers: () => ({
      head: ["trial", "point", "value"],
      rows: each.map(([item, run]) => [runs.names[run], items.names[item], values[run]]),
    }),
  };
}
