// A chart with two axes: uPlot has scales, axes and zoom; marks, hovering and selecting are here.
//
// A chart is made of a function that tells what it shows now: {x, y, marks, legend, numbers}.
// An axis has a label, a scale (log, linear or choice), a range and, for a choice, names. A mark is
// a line, a band, a rule or a dot; one with runs answers the pointer.

const charts = [];
const REACH = 40; // CSS pixels from the pointer to a mark
const SLOP = 5; // CSS pixels that a click may move

function tickStep(width, count) {
  const rough = width / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((one) => one * power >= rough * 0.999);
}

function linearTicks(low, high, count) {
  const step = tickStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => Number(((first + n) * step).toPrecision(12)));
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

class Plot {
  constructor(figure, tell, { height = 300, name = figure.id } = {}) {
    Object.assign(this, { figure, tell, height, name, zoom: null, at: -1 });
    this.box = element("div", { class: "plot", tabindex: 0, role: "img" });
    this.over = element("canvas", { class: "marked" });
    figure.querySelector(".chart").append(this.box);
    listen(this);
    charts.push(this);
  }

  render() {
    this.spec = this.tell();
    this.axes = `${this.spec.x.label}|${this.spec.x.scale}|${this.spec.y.label}|${this.spec.y.scale}`;
    if (this.zoomed !== this.axes) this.zoom = null;
    this.box.setAttribute("aria-label", this.spoken());
    this.plot?.destroy();
    this.plot = this.made(this.box);
    this.plot.root.querySelector(".u-wrap").append(this.over);
  }

  made(box) {
    const width = Math.max(200, Math.floor(this.box.clientWidth));
    this.legend = legendRows(this.spec.legend ?? [], width - 70);
    const { x, y } = this.spec;
    const ranges = [roomy(x), roomy(y)];
    const plot = new uPlot(this.options(width), ranges, box);
    plot.batch(() => {
      const [across, up] = this.zoom ?? ranges;
      plot.setScale("x", { min: across[0], max: across[1] });
      plot.setScale("y", { min: up[0], max: up[1] });
    });
    return plot;
  }

  options(width) {
    const { x, y } = this.spec;
    return {
      width,
      height: this.height + this.legend.length * LEGEND_ROW,
      padding: [8 + this.legend.length * LEGEND_ROW, 16, 0, 0],
      legend: { show: false },
      cursor: { points: { show: false }, x: false, y: false, drag: { x: true, y: true, uni: 12 }, bind: { dblclick: () => () => this.zoomTo(null) } },
      scales: { x: { time: false, ...scaleOf(x) }, y: scaleOf(y) },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [axisOf(x, "x"), axisOf(y, "y")],
      hooks: { draw: [(plot) => this.draw(plot)], setScale: [(plot) => this.remember(plot)] },
    };
  }

  remember(plot) {
    const { x, y } = plot.scales;
    if (plot !== this.plot || x.min === null || y.min === null) return;
    this.zoom = [[x.min, x.max], [y.min, y.max]];
    this.zoomed = this.axes;
  }

  zoomTo(ranges) {
    this.zoom = ranges;
    const [across, up] = ranges ?? [roomy(this.spec.x), roomy(this.spec.y)];
    this.plot.batch(() => {
      this.plot.setScale("x", { min: across[0], max: across[1] });
      this.plot.setScale("y", { min: up[0], max: up[1] });
    });
  }

  // Nearer for a factor under 1, around the middle of what is seen.
  zoomBy(factor) {
    const part = (axis, scale) => {
      const log = axis.scale === "log";
      const [low, high] = [scale.min, scale.max].map((one) => (log ? Math.log(one) : one));
      const [middle, half] = [(low + high) / 2, ((high - low) / 2) * factor];
      return [middle - half, middle + half].map((one) => (log ? Math.exp(one) : one));
    };
    this.zoomTo([part(this.spec.x, this.plot.scales.x), part(this.spec.y, this.plot.scales.y)]);
  }

  draw(plot) {
    const scale = plot.ctx.canvas.width / plot.width;
    const { left, top, width, height } = plot.bbox;
    const { ctx } = plot;
    paintLegend(ctx, this.legend, left, 4 * scale, scale);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    const placed = this.spec.marks.map((mark) => place(mark, plot));
    for (const mark of placed) paintMark(ctx, mark, scale);
    for (const mark of placed) if (mark.runs && isSelected(mark.runs)) paintChosen(ctx, mark, scale);
    ctx.restore();
    if (plot === this.plot || !this.placed) this.placed = placed;
    if (plot === this.plot) this.highlight();
  }

  // What is under the pointer, in this chart or another, on a layer of its own.
  highlight() {
    const { canvas } = this.plot.ctx;
    const scale = canvas.width / this.plot.width;
    if (this.over.width !== canvas.width || this.over.height !== canvas.height) Object.assign(this.over, { width: canvas.width, height: canvas.height });
    const ctx = this.over.getContext("2d");
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    if (!hovered.length || !this.placed) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(this.plot.bbox.left, this.plot.bbox.top, this.plot.bbox.width, this.plot.bbox.height);
    ctx.clip();
    for (const mark of this.placed) if (mark.runs?.some((run) => hovered.includes(run))) paintChosen(ctx, mark, scale);
    ctx.restore();
  }

  // The mark nearest to a place on the canvas, and which of its points.
  nearest(x, y) {
    const scale = this.plot.ctx.canvas.width / this.plot.width;
    let found = null;
    let least = (REACH * scale) ** 2;
    for (const mark of this.placed) {
      if (!mark.runs) continue;
      for (let n = 0; n < mark.px.length; n++) {
        const distance = (mark.px[n] - x) ** 2 + (mark.py[n] - y) ** 2;
        if (distance < least) [found, least] = [{ mark, n }, distance];
      }
    }
    return found;
  }

  under(event) {
    const box = this.plot.ctx.canvas.getBoundingClientRect();
    const scale = this.plot.ctx.canvas.width / box.width;
    return this.nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale);
  }

  // Marks in the order in which the arrow keys step through them.
  get stops() {
    const told = this.placed.filter((mark) => mark.runs && mark.px.length);
    return told.sort((a, b) => (a.kind === "line" ? 0 : a.px[0] - b.px[0]));
  }

  spoken() {
    const { x, y, marks } = this.spec;
    const count = marks.filter((mark) => mark.runs).length;
    return `${this.figure.querySelector("h2").textContent}: ${y.label} against ${x.label}, ${count} marks. Arrow keys step through them, Enter selects, plus and minus zoom, 0 shows all. The numbers are below.`;
  }

  layers() {
    return [this.plot.ctx.canvas];
  }

  // uPlot asks a canvas for its context; while a picture is made the answer is a recorder.
  async svg() {
    const real = HTMLCanvasElement.prototype.getContext;
    let recorder;
    HTMLCanvasElement.prototype.getContext = function () {
      recorder = new SvgContext(this.width, this.height);
      return recorder;
    };
    const box = document.createElement("div");
    let plot;
    try {
      plot = this.made(box);
    } finally {
      HTMLCanvasElement.prototype.getContext = real;
    }
    await new Promise((done) => setTimeout(done));
    const scale = devicePixelRatio || 1;
    Object.assign(recorder, { width: plot.width * scale, height: plot.height * scale });
    plot.destroy();
    return recorder.text(scale);
  }

  numbers() {
    return this.spec.numbers();
  }
}

function scaleOf(axis) {
  return { distr: axis.scale === "log" ? 3 : 1, auto: false, dir: axis.turned ? -1 : 1, range: (_, low, high) => [low, high] };
}

function axisOf(axis, which) {
  const names = (value) => (axis.scale === "choice" ? axis.names[value] ?? "" : axis.format ? axis.format(value) : short(value));
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
    size: (plot, texts) => (which === "x" ? 28 : Math.min(plot.width / 3, 14 + Math.max(8, ...(texts ?? []).map((text) => widthOf(text ?? ""))))),
    splits: (plot, _, low, high) => ticksOf(axis, low, high, Math.max(2, Math.floor((which === "x" ? plot.width - 60 : plot.height - 60) / space))),
    filter: (_, ticks) => ticks,
    values: (plot, ticks) => ticks.map((tick) => cut(String(names(tick)), which === "x" ? 84 : plot.width / 3 - 16)),
  };
}

function ticksOf(axis, low, high, count) {
  if (axis.scale === "choice") return axis.names.map((_, n) => n).filter((n) => n >= low && n <= high);
  if (axis.turned && axis.scale === "log") return errorTicks(low, high, count);
  if (axis.scale === "log") return logTicks(low, high, count);
  const ticks = linearTicks(low, high, count);
  return axis.whole ? ticks.filter(Number.isInteger) : ticks;
}

// A mark with its places on the canvas.
function place(mark, plot) {
  const across = (value) => plot.valToPos(value, "x", true);
  const up = (value) => plot.valToPos(value, "y", true);
  if (mark.kind === "band") return { ...mark, px: mark.xs.map(across), low: mark.low.map(up), high: mark.high.map(up) };
  const xs = mark.kind === "rule" ? [plot.scales.x.min, plot.scales.x.max] : mark.xs;
  const ys = mark.kind === "rule" ? [mark.y, mark.y] : mark.ys;
  return { ...mark, px: xs.map(across), py: ys.map(up), edge: plot.bbox.left + plot.bbox.width };
}

function paintMark(ctx, mark, scale) {
  const { style } = mark;
  if (mark.kind === "dot") paintDot(ctx, mark.px[0], mark.py[0], style, scale);
  else if (mark.kind === "band") paintBand(ctx, mark.px, mark.low, mark.high, style);
  else paintLine(ctx, mark.px, mark.py, style, scale);
  if (mark.ring) paintRing(ctx, mark.px[0], mark.py[0], (style.size ?? 4) + 5, scale);
  if (mark.text) paintNote(ctx, mark, scale);
}

// The text of a mark beside it, within the chart.
function paintNote(ctx, mark, scale) {
  const [right, down] = mark.kind === "rule" ? [4, 9] : [12, -8];
  const left = mark.px[0] + (right + widthOf(mark.text)) * scale > mark.edge;
  paintText(ctx, mark.text, mark.px[0] + (left ? -right : right) * scale, mark.py[0] + down * scale, scale, { align: left ? "right" : "left" });
}

function paintChosen(ctx, mark, scale) {
  if (mark.kind === "dot") return paintRing(ctx, mark.px[0], mark.py[0], (mark.style.size ?? 4) + 3, scale);
  const colour = mark.style.behind ? theme.ink : mark.style.colour;
  paintLine(ctx, mark.px, mark.py, { ...mark.style, colour, width: 3, alpha: 1 }, scale);
}

// The pointer and the keys of a chart.
function listen(chart) {
  const { box } = chart;
  let pressed = null;
  box.addEventListener("pointermove", (event) => {
    const found = chart.under(event);
    hover(found ? found.mark.runs : []);
    box.classList.toggle("pointing", Boolean(found));
    if (found) showTip(tipOf(found), event.clientX, event.clientY);
    else hideTip();
  });
  box.addEventListener("pointerleave", () => {
    hover([]);
    hideTip();
  });
  box.addEventListener("pointerdown", (event) => (pressed = [event.clientX, event.clientY]));
  box.addEventListener("click", (event) => {
    const moved = pressed ? Math.hypot(event.clientX - pressed[0], event.clientY - pressed[1]) : 0;
    const found = moved <= SLOP && chart.under(event);
    if (found) toggle(found.mark.runs);
  });
  box.addEventListener("keydown", (event) => onKey(chart, event));
  box.addEventListener("blur", () => {
    hover([]);
    hideTip();
  });
}

function onKey(chart, event) {
  const { stops } = chart;
  const does = {
    ArrowRight: () => step(chart, stops, 1),
    ArrowLeft: () => step(chart, stops, -1),
    ArrowUp: () => step(chart, stops, 1),
    ArrowDown: () => step(chart, stops, -1),
    Enter: () => stops[chart.at] && toggle(stops[chart.at].runs),
    " ": () => stops[chart.at] && toggle(stops[chart.at].runs),
    "+": () => chart.zoomBy?.(0.5),
    "-": () => chart.zoomBy?.(2),
    0: () => chart.zoomTo?.(null),
    Escape: () => change({ selected: [] }),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

function step(chart, stops, by) {
  if (!stops.length) return;
  chart.at = (chart.at + by + stops.length) % stops.length;
  const mark = stops[chart.at];
  const n = mark.px.length - 1;
  const box = chart.layers()[0].getBoundingClientRect();
  const scale = box.width / chart.layers()[0].width;
  hover(mark.runs);
  showTip(tipOf({ mark, n }), box.left + mark.px[n] * scale, box.top + mark.py[n] * scale);
  say(tipOf({ mark, n }).join(", "));
}

function tipOf({ mark, n }) {
  return [...mark.told(n), ...(mark.item === undefined ? [] : describe(mark.item))];
}

// What is known of an item, a line each.
function describe(item) {
  const searched = items.searched.filter((column) => column.values[item] !== null);
  return searched.slice(0, 8).map((column) => `${column.name} ${short(column.values[item])}`);
}

const tip = element("div", { class: "tip", hidden: "", "aria-hidden": "true" });
const voice = element("div", { class: "voice", "aria-live": "polite" });

function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line, n) => element(n ? "div" : "b", {}, line)));
  tip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${Math.max(4, y + 16 + height > innerHeight ? y - height - 12 : y + 16)}px`;
}

function hideTip() {
  tip.hidden = true;
}

function say(text) {
  voice.textContent = text;
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Errors at which the accuracies are plain: 0.5, 0.8, 0.9, 0.95, 0.98, 0.99.
function errorTicks(low, high, count) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= 0; power++) for (const one of [1, 2, 5]) ticks.push(Number(`${one}e${power}`));
  const kept = ticks.filter((one) => one >= low * 0.999 && one <= Math.min(1, high * 1.001));
  return kept.length > count ? kept.filter((one) => /^(1|0\.0*1$|1e)/.test(String(one))) : kept.length > 2 ? kept : linearTicks(low, high, count);
}
