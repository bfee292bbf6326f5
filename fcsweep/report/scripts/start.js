// Puts the charts into their figures and keeps them as the state is.

const MOST_NUMBERS = 500; // rows of numbers below a chart; the CSV has all

function tools(figure, own, ...controls) {
  const saves = element("div", { class: "saves" });
  const press = (name, does) => {
    const button = element(
      "button",
      { type: "button", "aria-label": `Save ${figure.querySelector("h2").textContent} as ${name}` },
      name,
    );
    button.addEventListener("click", does);
    saves.append(button);
  };
  press("CSV", () => saveAs(`${figure.id}.csv`, csvOf(own[0].numbers()), "text/csv"));
  press("PNG", () => own.forEach((chart) => saveAs(`${chart.name}.png`, pngOf(chart.layers()))));
  press("SVG", () =>
    own.forEach(async (chart) => saveAs(`${chart.name}.svg`, await chart.svg(), "image/svg+xml")),
  );
  const bars = controls.length ? [element("div", { class: "tools" }, ...controls)] : [];
  figure.querySelector("h2").after(saves, ...bars);
  figure.append(numbersBelow(own[0]));
}

function numbersBelow(chart) {
  const box = element("div", { class: "scroll" });
  const details = element("details", { class: "numbers" }, element("summary", {}, "Numbers"), box);
  const fill = () => {
    if (!details.open) return;
    const { head, rows } = chart.numbers();
    const body = rows
      .slice(0, MOST_NUMBERS)
      .map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, short(cell)))));
    const more =
      rows.length > MOST_NUMBERS
        ? [
            element(
              "p",
              { class: "hint" },
              `${rows.length - MOST_NUMBERS} more rows are in the CSV`,
            ),
          ]
        : [];
    box.replaceChildren(
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name))),
        ),
        element("tbody", {}, ...body),
      ),
      ...more,
    );
  };
  details.addEventListener("toggle", fill);
  listeners.push(fill);
  return details;
}

function smoothing() {
  const slide = element("input", {
    type: "range",
    min: 0,
    max: 0.95,
    step: 0.05,
    "aria-label": "Smoothing",
  });
  slide.addEventListener("input", () => change({ smooth: slide.value === "0" ? "" : slide.value }));
  listeners.push(() => (slide.value = state.smooth || 0));
  return element("label", { class: "check" }, "smoothing ", slide);
}

function choice(label, name, columns) {
  const select = element(
    "select",
    {},
    ...columns.map((column) =>
      element(
        "option",
        { value: column.key },
        column.key === objective.key ? objective.name : column.name,
      ),
    ),
  );
  select.addEventListener("change", () => change({ [name]: select.value }));
  listeners.push(() => (select.value = plane()[["x", "y", "colour"].indexOf(name)].key));
  return element("label", { class: "check" }, `${label} `, select);
}

const logLoss = () =>
  checkbox(
    "log loss",
    () =>
      isLogLoss(data.single ? [{ style: {}, ys: data.steps?.[1] ?? [] }] : linesOf(1, toldApart())),
    () => flip("log", "loss"),
  );
const logError = () => checkbox("log error", isLogError, () => flip("log", "error"));
const errors = () => (objective.accuracy ? [logError()] : []);

// The kinds of figures: what draws each, and its controls.
const FIGURES = {
  loss: (figure) => [[new Plot(figure, stepsChart)], logLoss(), smoothing()],
  accuracy: (figure) => [[new Plot(figure, accuracyChart)], logError()],
  learning_curves: (figure) => [
    OF_CURVES.map(
      (one) =>
        new Plot(figure, curvesChart(one), {
          // together as high as the figures beside them
          height: (Object.keys(data.importance).length ? 1050 : 870) / OF_CURVES.length,
          name: `${figure.id}-${one[0].replace(" ", "_")}`,
        }),
    ),
    logLoss(),
    ...errors(),
    smoothing(),
  ],
  repeats: (figure) => [
    [new Plot(figure, repeatsChart, { height: 90 + 30 * Math.min(MOST_REPEATS, points.count) })],
    ...errors(),
  ],
  history: (figure) => [[new Plot(figure, historyChart)], ...errors()],
  landscape: (figure) => [
    [new Plot(figure, landscapeChart, { height: 340 })],
    ...["x", "y", "colour"].map((name) => choice(name, name, items.columns)),
  ],
  time_line: (figure) => [
    [
      new Plot(figure, timeLineChart, {
        height: 80 + 24 * Math.min(MOST_WORKERS, data.time_line.hosts.length),
      }),
    ],
  ],
  parallel: (figure) => [[new Parallel(figure)]],
  importance: (figure) => [[new Importance(figure)]],
};

function start() {
  for (const one of document.querySelectorAll(".scripted:not(#selection)")) one.hidden = false;
  document.body.append(tip, voice);
  listeners.push(renderCharts); // before the numbers below them are told
  for (const figure of document.querySelectorAll("figure")) {
    const [own, ...controls] = FIGURES[figure.id](figure);
    tools(figure, own, ...controls);
  }
  if (!data.single) {
    makeControls();
    for (const table of document.querySelectorAll("table.sorted")) new Sheet(table);
    listeners.push(renderSelection, () => sheets.forEach((sheet) => sheet.render()));
  }
  keepLive();
  watch();
  readTheme();
  readAddress();
  refresh();
}

function renderCharts() {
  for (const chart of charts) chart.render();
}

// A page of a sweep that has not ended can load itself again.
function keepLive() {
  const live = document.getElementById("live");
  if (!live) return;
  live.addEventListener("change", () => change({ live: live.checked ? "1" : "" }));
  listeners.push(() => (live.checked = Boolean(state.live)));
  setInterval(() => state.live && location.reload(), 30_000);
}

function watch() {
  addEventListener("hashchange", () => {
    readAddress();
    refresh();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && (event.target === document.body || event.target.closest("table")))
      change({ selected: [] });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) renderCharts();
    width = innerWidth;
  });
}

function redraw() {
  readTheme();
  renderCharts();
}

function onPaper(printing) {
  document.documentElement.classList.toggle("paper", printing);
  redraw();
}

start();
