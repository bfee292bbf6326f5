// Pictures and tables as files. A picture as SVG is what a canvas would have been told.

// The style of a canvas, with what it is at first.
const STYLE = {
  fillStyle: "#000",
  strokeStyle: "#000",
  lineWidth: 1,
  globalAlpha: 1,
  font: "12px sans-serif",
  textAlign: "left",
  textBaseline: "alphabetic",
  lineJoin: "miter",
  lineCap: "butt",
};

class SvgContext {
  constructor(width, height) {
    Object.assign(this, { width, height, parts: [], path: "", stack: [], dash: [] });
    this.now = { move: [0, 0], turn: 0, clip: "" };
    Object.assign(this, STYLE);
    this.canvas = { width, height };
    this.clips = 0;
  }

  save() {
    const style = [...Object.keys(STYLE), "dash"].map((name) => [name, this[name]]);
    this.stack.push({ ...Object.fromEntries(style), now: { ...this.now } });
  }

  restore() {
    Object.assign(this, this.stack.pop());
  }

  translate(x, y) {
    this.now.move = [this.now.move[0] + x, this.now.move[1] + y];
  }

  rotate(angle) {
    this.now.turn += (angle * 180) / Math.PI;
  }

  beginPath() {
    this.path = "";
  }

  closePath() {
    this.path += "Z";
  }

  moveTo(x, y) {
    this.path += `M${fixed(x)} ${fixed(y)}`;
  }

  lineTo(x, y) {
    this.path += `L${fixed(x)} ${fixed(y)}`;
  }

  rect(x, y, width, height) {
    this.path += `M${fixed(x)} ${fixed(y)}h${fixed(width)}v${fixed(height)}h${fixed(-width)}Z`;
  }

  // Only whole circles are drawn.
  arc(x, y, r) {
    this.path += `M${fixed(x - r)} ${fixed(y)}a${fixed(r)} ${fixed(r)} 0 1 0 ${fixed(2 * r)} 0a${fixed(r)} ${fixed(r)} 0 1 0 ${fixed(-2 * r)} 0`;
  }

  setLineDash(dash) {
    this.dash = dash;
  }

  clearRect() {}

  clip() {
    this.clips += 1;
    this.parts.push(`<clipPath id="c${this.clips}"><path d="${this.path}"/></clipPath>`);
    this.now.clip = ` clip-path="url(#c${this.clips})"`;
  }

  fillRect(x, y, width, height) {
    this.beginPath();
    this.rect(x, y, width, height);
    this.fill();
  }

  fill() {
    this.add(`<path d="${this.path}" fill="${this.fillStyle}"`, "/>");
  }

  stroke() {
    const dash = this.dash.length ? ` stroke-dasharray="${this.dash.map(fixed).join(" ")}"` : "";
    this.add(
      `<path d="${this.path}" fill="none" stroke="${this.strokeStyle}" stroke-width="${fixed(this.lineWidth)}" stroke-linejoin="${this.lineJoin}"${dash}`,
      "/>",
    );
  }

  fillText(text, x, y) {
    const anchor = { left: "start", right: "end", center: "middle", start: "start", end: "end" }[
      this.textAlign
    ];
    const down = { middle: ".35em", top: ".8em", bottom: "-.2em" }[this.textBaseline] ?? "0";
    const font = escaped(this.font.replaceAll('"', "'"));
    this.add(
      `<text x="${fixed(x)}" y="${fixed(y)}" dy="${down}" text-anchor="${anchor}" fill="${this.fillStyle}" style="font:${font}"`,
      `>${escaped(text)}</text>`,
    );
  }

  add(head, tail) {
    const { move, turn, clip } = this.now;
    const transform =
      move[0] || move[1] || turn
        ? ` transform="translate(${move.map(fixed).join(" ")}) rotate(${fixed(turn)})"`
        : "";
    const alpha = this.globalAlpha < 1 ? ` opacity="${fixed(this.globalAlpha)}"` : "";
    const drawn = `${head}${transform}${alpha}${tail}`;
    this.parts.push(clip ? `<g${clip}>${drawn}</g>` : drawn);
  }

  text(scale) {
    const size = `width="${fixed(this.width / scale)}" height="${fixed(this.height / scale)}" viewBox="0 0 ${this.width} ${this.height}"`;
    const paper = `<rect width="100%" height="100%" fill="${theme.paper}"/>`;
    return `<svg xmlns="${SVG}" ${size}>${paper}${this.parts.join("\n")}</svg>\n`;
  }
}

const SVG = new DOMParser()
  .parseFromString("<svg></svg>", "text/html")
  .querySelector("svg").namespaceURI;
const fixed = (number) => Number(number.toFixed(2));
const escaped = (text) =>
  String(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

function csvOf({ head, rows }) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function saveAs(name, content, type) {
  const link = document.createElement("a");
  link.download = `${data.title}-${name}`;
  link.href =
    typeof content === "string" && content.startsWith("data:")
      ? content
      : URL.createObjectURL(new Blob([content], { type }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// A canvas on paper, with what lies over it.
function pngOf(layers) {
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [layers[0].width, layers[0].height];
  const ctx = whole.getContext("2d");
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, whole.width, whole.height);
  for (const layer of layers) ctx.drawImage(layer, 0, 0);
  return whole.toDataURL("image/png");
}
