// Charts without uPlot: parallel axes, and the bars of importance.

class Drawing {
  constructor(figure, { height }) {
    Object.assign(this, { figure, height, name: figure.id, at: -1, placed: [] });
    this.box = element("div", { class: "plot drawn", tabindex: 0, role: "img" });
    this.canvas = element("canvas");
    this.over = element("canvas", { class: "marked" });
    this.box.append(this.canvas, this.over);
    figure.querySelector(".chart").append(this.box);
    listen(this);
    charts.push(this);
  }

  render() {
    this.width = Math.max(200, Math.floor(this.box.clientWidth));
    this.scale = devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.over]) {
      Object.assign(canvas, { width: this.width * this.scale, height: this.height * this.scale });
      canvas.style.height = `${this.height}px`;
    }
    const ctx = this.canvas.getContext("2d");
    this.draw(ctx, this.scale);
    this.box.setAttribute("aria-label", this.spoken());
    this.highlight();
  }

  highlight() {}

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    return this.nearest(
      (event.clientX - box.left) * this.scale,
      (event.clientY - box.top) * this.scale,
    );
  }

  get stops() {
    return this.placed.filter((mark) => mark.runs);
  }

  layers() {
    return [this.canvas];
  }

  async svg() {
    const recorder = new SvgContext(this.canvas.width, this.canvas.height);
    this.draw(recorder, this.scale);
    return recorder.text(this.scale);
  }
}

const SIDE = 48; // CSS pixels beside the outer axes
const HEAD = 44; // above them: names in two rows
const FOOT = 14;

class Parallel extends Drawing {
  constructor(figure) {
    super(figure, { height: 320 });
    this.box.addEventListener("pointerdown", (event) => this.grab(event));
    addEventListener("pointermove", (event) => this.drag(event));
    addEventListener("pointerup", () => this.drop());
  }

  get columns() {
    return [...items.searched, ...data.objectives.map((one) => items.column(one.key))];
  }

  across(n) {
    const count = this.columns.length;
    return (SIDE + (n * (this.width - 2 * SIDE)) / Math.max(1, count - 1)) * this.scale;
  }

  up(height) {
    return (HEAD + (1 - height) * (this.height - HEAD - FOOT)) * this.scale;
  }

  draw(ctx, scale) {
    const columns = this.columns;
    const known = items.names
      .map((_, item) => item)
      .filter((item) => hasValue(item) && !runsOf(item).every((run) => isHidden(runs.status[run])));
    const marks = known
      .map((item) => this.line(item, columns))
      .filter((mark) => mark.px.length > 1);
    marks.sort((a, b) => a.shown - b.shown || a.height - b.height);
    ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const mark of marks) paintLine(ctx, mark.px, mark.py, mark.style, scale);
    for (const mark of marks)
      if (isSelected(mark.runs) || isBest(mark.item))
        paintLine(
          ctx,
          mark.px,
          mark.py,
          { ...mark.style, width: isSelected(mark.runs) ? 4 : 3, alpha: 1 },
          scale,
        );
    columns.forEach((column, n) => this.axis(ctx, column, n, scale));
    this.placed = marks.filter((mark) => mark.shown);
  }

  line(item, columns) {
    const heights = columns.map((column) => heightOf(column.key, item));
    const there = heights.map((_, n) => n).filter((n) => heights[n] !== null);
    const shown = isShown(item);
    const height = heightOf(objective.key, item);
    const good = objective.minimize ? 1 - height : height;
    const style = shown
      ? { colour: rampColour(height), width: 1.5, alpha: 0.85 }
      : { colour: theme.quiet, width: 0.6, alpha: 0.25 };
    return {
      kind: "line",
      item,
      runs: runsOf(item),
      shown,
      height: good,
      style,
      px: there.map((n) => this.across(n)),
      py: there.map((n) => this.up(heights[n])),
      told: () => told(item),
    };
  }

  axis(ctx, column, n, scale) {
    const axis = axisOfColumn(column.key);
    const x = this.across(n);
    paintLine(ctx, [x, x], [this.up(0), this.up(1)], { colour: theme.ink, width: 1 }, scale);
    const apart = (this.width - 2 * SIDE) / Math.max(1, this.columns.length - 1);
    const room = Math.max(40, apart - 8);
    const [first, last] = [n === 0, n === this.columns.length - 1];
    const at = first ? 4 * scale : last ? this.canvas.width - 4 * scale : x;
    paintText(
      ctx,
      cut(axis.label, first || last ? apart + SIDE : 2 * apart - 8),
      at,
      (n % 2 ? 10 : 26) * scale,
      scale,
      { align: first ? "left" : last ? "right" : "center" },
    );
    for (const [height, text] of endsOf(axis))
      this.tick(ctx, x, height, cut(text, room - 8, 11), scale);
    const kept = brushes().get(column.key);
    if (kept) this.brushed(ctx, x, kept, scale);
  }

  // A text beside an axis, on a piece of paper, so that lines do not cross it.
  tick(ctx, x, height, text, scale) {
    const y = this.up(height);
    const width = (widthOf(text, 11) + 4) * scale;
    ctx.save();
    ctx.globalAlpha = 0.75;
    ctx.fillStyle = theme.card;
    ctx.fillRect(x + 4 * scale, y - 7 * scale, width, 14 * scale);
    ctx.restore();
    paintLine(ctx, [x - 3 * scale, x + 3 * scale], [y, y], { colour: theme.ink, width: 1 }, scale);
    paintText(ctx, text, x + 6 * scale, y, scale, { size: 11 });
  }

  brushed(ctx, x, [low, high], scale) {
    ctx.save();
    ctx.globalAlpha = 0.35;
    ctx.fillStyle = PALETTE[0];
    ctx.fillRect(x - 7 * scale, this.up(high), 14 * scale, this.up(low) - this.up(high));
    ctx.restore();
  }

  highlight() {
    const ctx = this.over.getContext("2d");
    ctx.clearRect(0, 0, this.over.width, this.over.height);
    for (const mark of this.placed)
      if (mark.runs.some((run) => hovered.includes(run)))
        paintLine(ctx, mark.px, mark.py, { colour: theme.ink, width: 3 }, this.scale);
  }

  nearest(x, y) {
    let found = null;
    let least = 12 * this.scale;
    for (const mark of this.placed) {
      const n = mark.px.findIndex((right) => right >= x);
      if (n < 1) continue;
      const part = (x - mark.px[n - 1]) / (mark.px[n] - mark.px[n - 1]);
      const distance = Math.abs(mark.py[n - 1] + part * (mark.py[n] - mark.py[n - 1]) - y);
      if (distance < least) [found, least] = [{ mark, n }, distance];
    }
    return found;
  }

  // A drag along an axis keeps a part of it; a click on the axis takes that back.
  grab(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.scale;
    const n = this.columns.findIndex(
      (_, place) => Math.abs(this.across(place) - x) < 9 * this.scale,
    );
    this.held = n < 0 ? null : { key: this.columns[n].key, from: this.heightAt(event), to: null };
    if (this.held) event.preventDefault(); // no text is selected on the way
  }

  heightAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const part = (event.clientY - box.top - HEAD) / (this.height - HEAD - FOOT);
    return Math.max(-0.02, Math.min(1.02, 1 - part));
  }

  drag(event) {
    if (this.held) this.held.to = this.heightAt(event);
  }

  drop() {
    if (!this.held) return;
    const { key, from, to } = this.held;
    this.held = null;
    if (to !== null && Math.abs(to - from) > 0.02)
      brush(key, [Math.min(from, to), Math.max(from, to)]);
    else if (brushes().has(key)) brush(key, null);
  }

  spoken() {
    return `All parameters: ${this.placed.length} lines over ${this.columns.map((one) => one.name).join(", ")}. Arrow keys step through them, Enter selects. The filter above does what dragging along an axis does.`;
  }

  numbers() {
    return numbersOf(shownItems().filter(hasValue), this.columns);
  }
}

// Heights and texts of an axis: its names, or its ends and what lies between.
function endsOf(axis) {
  const count = Math.max(1, axis.names?.length - 1);
  if (axis.scale === "choice")
    return axis.names.map((name, n) => [axis.names.length > 1 ? n / count : 0.5, name]);
  const log = axis.scale === "log";
  const [low, high] = log ? [Math.log(axis.low), Math.log(axis.high)] : [axis.low, axis.high];
  if (!(high > low)) return [[0.5, short(axis.low)]];
  const parts = [0, 0.25, 0.5, 0.75, 1];
  const texts = apart(
    parts.map((part) => low + part * (high - low)).map(log ? Math.exp : Number),
    axis.format ?? short,
  );
  return parts.map((part, n) => [axis.turned ? 1 - part : part, texts[n]]);
}

// Numbers in two digits, or in as many more as keep them apart.
function apart(values, format) {
  const texts = [2, 3, 4].map((digits) =>
    values.map((value) => format(Number(value.toPrecision(digits)))),
  );
  return texts.find((each) => new Set(each).size === each.length) ?? texts[0];
}

const BAR = 28;

class Importance extends Drawing {
  constructor(figure) {
    super(figure, { height: Object.keys(data.importance).length * BAR + 12 });
  }

  draw(ctx, scale) {
    const names = Object.keys(data.importance);
    const left = Math.min(
      0.45 * this.width,
      14 + Math.max(...names.map((name) => widthOf(this.label(name)))),
    );
    ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.placed = names.map((name, n) => {
      const part = data.importance[name];
      const y = (6 + (n + 0.5) * BAR) * scale;
      const width = Math.max(1, part * (this.width - left - 50));
      paintText(ctx, cut(this.label(name), left - 10), (left - 8) * scale, y, scale, {
        align: "right",
      });
      ctx.fillStyle = PALETTE[0];
      ctx.fillRect(left * scale, y - 9 * scale, width * scale, 18 * scale);
      paintText(ctx, part.toFixed(2), (left + width + 6) * scale, y, scale);
      return { name, y };
    });
  }

  label(name) {
    return (
      items.columns.find((column) => column.key === name || column.key === `params.${name}`)
        ?.name ?? name
    );
  }

  nearest() {
    return null;
  }

  spoken() {
    return `Importance: ${Object.entries(data.importance)
      .map(([name, part]) => `${this.label(name)} ${part.toFixed(2)}`)
      .join(", ")}`;
  }

  numbers() {
    return { head: ["parameter", "explained variation"], rows: Object.entries(data.importance) };
  }
}
