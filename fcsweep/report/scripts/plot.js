// A chart with two axes: uPlot has scales, axes and zoom; marks, hovering and selecting are here.
//
// A chart is made of a function that tells what it shows now: {x, y, marks, legend, numbers}.
// An axis has a label, a scale (log, linear or choice), a range and, for a choice, names. A mark is
// a line, a band, a bar, a rule or a dot; one with runs answers the pointer.

const charts = [];
const REACH = 40; // CSS pixels from the pointer to a mark
const SLOP = 5; // CSS pixels that a click may move

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
      cursor: {
        points: { show: false },
        x: false,
        y: false,
        drag: { x: true, y: true, uni: 12 },
        bind: { dblclick: () => () => this.zoomTo(null) },
      },
      scales: { x: { time: false, ...scaleOf(x) }, y: scaleOf(y) },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [axisOf(x, "x"), axisOf(y, "y")],
      hooks: { draw: [(plot) => this.draw(plot)], setScale: [(plot) => this.remember(plot)] },
    };
  }

  remember(plot) {
    const { x, y } = plot.scales;
    if (plot !== this.plot || x.min === null || y.min === null) return;
    this.zoom = [
      [x.min, x.max],
      [y.min, y.max],
    ];
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
    for (const mark of placed)
      if (mark.runs && isSelected(mark.runs)) paintChosen(ctx, mark, scale);
    ctx.restore();
    if (plot === this.plot || !this.placed) this.placed = placed;
    if (plot === this.plot) this.highlight();
  }

  // What is under the pointer, in this chart or another, on a layer of its own.
  highlight() {
    const { canvas } = this.plot.ctx;
    const scale = canvas.width / this.plot.width;
    if (this.over.width !== canvas.width || this.over.height !== canvas.height)
      Object.assign(this.over, { width: canvas.width, height: canvas.height });
    const ctx = this.over.getContext("2d");
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    if (!hovered.length || !this.placed) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(this.plot.bbox.left, this.plot.bbox.top, this.plot.bbox.width, this.plot.bbox.height);
    ctx.clip();
    for (const mark of this.placed)
      if (mark.runs?.some((run) => hovered.includes(run))) paintChosen(ctx, mark, scale);
    ctx.restore();
  }

  // The mark nearest to a place on the canvas, and which of its points.
  nearest(x, y) {
    const scale = this.plot.ctx.canvas.width / this.plot.width;
    let found = null;
    let least = (REACH * scale) ** 2;
    for (const mark of this.placed) {
      if (!mark.runs) continue;
      const within = (px) => Math.max(px[0], Math.min(px[1], x));
      const px = mark.kind === "bar" ? [within(mark.px)] : mark.px;
      for (let n = 0; n < px.length; n++) {
        const distance = (px[n] - x) ** 2 + (mark.py[n] - y) ** 2;
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

// A mark with its places on the canvas.
function place(mark, plot) {
  const across = (value) => plot.valToPos(value, "x", true);
  const up = (value) => plot.valToPos(value, "y", true);
  if (mark.kind === "band")
    return { ...mark, px: mark.xs.map(across), low: mark.low.map(up), high: mark.high.map(up) };
  const xs = mark.kind === "rule" ? [plot.scales.x.min, plot.scales.x.max] : mark.xs;
  const ys = mark.kind === "rule" ? [mark.y, mark.y] : mark.ys;
  return { ...mark, px: xs.map(across), py: ys.map(up), edge: plot.bbox.left + plot.bbox.width };
}

function paintMark(ctx, mark, scale) {
  const { style } = mark;
  if (mark.kind === "dot") paintDot(ctx, mark.px[0], mark.py[0], style, scale);
  else if (mark.kind === "band") paintBand(ctx, mark.px, mark.low, mark.high, style);
  else if (mark.kind === "bar") paintBar(ctx, mark, scale);
  else paintLine(ctx, mark.px, mark.py, style, scale);
  if (mark.ring) paintRing(ctx, mark.px[0], mark.py[0], (style.size ?? 4) + 5, scale);
  if (mark.text) paintNote(ctx, mark, scale);
}

// The text of a mark beside it, within the chart.
function paintNote(ctx, mark, scale) {
  const [right, down] = mark.kind === "rule" ? [4, 9] : [12, -8];
  const left = mark.px[0] + (right + widthOf(mark.text)) * scale > mark.edge;
  paintText(
    ctx,
    mark.text,
    mark.px[0] + (left ? -right : right) * scale,
    mark.py[0] + down * scale,
    scale,
    { align: left ? "right" : "left" },
  );
}

function paintChosen(ctx, mark, scale) {
  if (mark.kind === "dot")
    return paintRing(ctx, mark.px[0], mark.py[0], (mark.style.size ?? 4) + 3, scale);
  if (mark.kind === "bar") return paintFrame(ctx, mark, scale);
  const colour = mark.style.behind ? theme.ink : mark.style.colour;
  paintLine(ctx, mark.px, mark.py, { ...mark.style, colour, width: 3, alpha: 1 }, scale);
}
