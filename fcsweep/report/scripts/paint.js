// Colours and marks on a canvas, or on what records a picture (svg.js).

const PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"]; // Okabe and Ito
const DASHES = [[], [7, 3], [7, 3, 2, 3], [2, 3], [9, 2, 2, 2, 2, 2], [4, 4]];
const CIVIDIS = [
  "#00224e",
  "#123570",
  "#3b496c",
  "#575d6d",
  "#707173",
  "#8a8678",
  "#a59c74",
  "#c3b369",
  "#e1cc55",
  "#fee838",
];
const FONT = "12px system-ui, sans-serif";
const SHAPES = {
  "reaches the target": "star",
  learns: "disc",
  completed: "disc",
  "learns nothing": "ring",
  diverges: "cross",
  failed: "cross",
  pruned: "triangle",
  "has no value": "bar",
};

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const theme = {};
function readTheme() {
  for (const name of ["ink", "quiet", "paper", "card", "line"]) theme[name] = colourOf(name);
  const dark = parseInt(theme.paper.slice(1, 3), 16) < 128;
  theme.ramp = dark ? CIVIDIS.slice(2) : CIVIDIS.slice(0, 9); // what can be told from the paper
}

// The colour of a height from 0 to 1.
function rampColour(height) {
  if (height === null) return theme.quiet;
  const place = Math.max(0, Math.min(1, height)) * (theme.ramp.length - 1);
  const [a, b] = [theme.ramp[Math.floor(place)], theme.ramp[Math.ceil(place)]];
  const part = (from) =>
    Math.round(
      parseInt(a.slice(from, from + 2), 16) * (1 - (place % 1)) +
        parseInt(b.slice(from, from + 2), 16) * (place % 1),
    );
  return `rgb(${part(1)}, ${part(3)}, ${part(5)})`;
}

// Colour and dash of the items that are told apart: the selected ones, else the best.
function toldApart(most = PALETTE.length) {
  const selected = [...new Set(state.selected.map((run) => itemOf[run]))];
  const best = ranked.filter((item) => isShown(item) && (!data.compared || isBest(item)));
  const told = (selected.length ? selected : best).slice(0, most);
  return new Map(
    told.map((item, place) => [
      item,
      { colour: PALETTE[place % PALETTE.length], dash: DASHES[place % DASHES.length] },
    ]),
  );
}

function trace(ctx, xs, ys) {
  ctx.beginPath();
  xs.forEach((x, place) => (place ? ctx.lineTo(x, ys[place]) : ctx.moveTo(x, ys[place])));
}

function paintLine(ctx, xs, ys, style, scale) {
  if (xs.length === 1)
    return paintDot(ctx, xs[0], ys[0], { shape: "disc", size: 2 + style.width, ...style }, scale);
  ctx.save();
  ctx.globalAlpha = style.alpha ?? 1;
  ctx.strokeStyle = style.colour;
  ctx.lineWidth = style.width * scale;
  ctx.lineJoin = "round";
  ctx.setLineDash((style.dash ?? []).map((one) => one * scale));
  trace(ctx, xs, ys);
  ctx.stroke();
  ctx.restore();
}

function paintBand(ctx, xs, low, high, style) {
  ctx.save();
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = style.colour;
  trace(ctx, [...xs, ...xs.toReversed()], [...low, ...high.toReversed()]);
  ctx.fill();
  ctx.restore();
}

// Along the x axis, and never too short to be seen.
function barOf({ px, py, style }, scale) {
  const height = style.width * scale;
  return [px[0], py[0] - height / 2, Math.max(px[1] - px[0], 2 * scale), height];
}

function paintBar(ctx, mark, scale) {
  ctx.fillStyle = mark.style.colour;
  ctx.fillRect(...barOf(mark, scale));
}

function paintFrame(ctx, mark, scale) {
  ctx.save();
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 2.5 * scale;
  ctx.beginPath();
  ctx.rect(...barOf(mark, scale));
  ctx.stroke();
  ctx.restore();
}

const OUTLINES = {
  disc: (ctx, x, y, r) => ctx.arc(x, y, r, 0, 2 * Math.PI),
  ring: (ctx, x, y, r) => ctx.arc(x, y, r, 0, 2 * Math.PI),
  triangle: (ctx, x, y, r) =>
    polygon(ctx, [
      [x - r, y - 0.8 * r],
      [x + r, y - 0.8 * r],
      [x, y + r],
    ]),
  star: (ctx, x, y, r) =>
    polygon(
      ctx,
      Array.from({ length: 10 }, (_, n) => starPoint(x, y, n % 2 ? 0.75 * r : 1.8 * r, n)),
    ),
  cross: (ctx, x, y, r) =>
    strokes(ctx, [
      [x - r, y - r, x + r, y + r],
      [x - r, y + r, x + r, y - r],
    ]),
  bar: (ctx, x, y, r) => strokes(ctx, [[x, y - 1.6 * r, x, y + 1.6 * r]]),
};

const starPoint = (x, y, r, n) => [
  x + r * Math.sin((n * Math.PI) / 5),
  y - r * Math.cos((n * Math.PI) / 5),
];

function polygon(ctx, corners) {
  corners.forEach(([x, y], n) => (n ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  ctx.closePath();
}

function strokes(ctx, lines) {
  for (const [x0, y0, x1, y1] of lines) {
    ctx.moveTo(x0, y0);
    ctx.lineTo(x1, y1);
  }
}

function paintDot(ctx, x, y, style, scale) {
  const filled = ["disc", "star", "triangle"].includes(style.shape);
  ctx.save();
  ctx.globalAlpha = style.alpha ?? 1;
  ctx.lineWidth = (filled ? 0.75 : 1.75) * scale;
  ctx.fillStyle = style.colour;
  ctx.strokeStyle = filled ? theme.quiet : style.colour;
  ctx.beginPath();
  OUTLINES[style.shape](ctx, x, y, (style.size ?? 4) * scale);
  if (filled) ctx.fill();
  ctx.stroke();
  ctx.restore();
}

// A ring around what is selected, or under the pointer.
function paintRing(ctx, x, y, radius, scale) {
  ctx.save();
  ctx.strokeStyle = theme.ink;
  ctx.lineWidth = 2 * scale;
  ctx.beginPath();
  ctx.arc(x, y, radius * scale, 0, 2 * Math.PI);
  ctx.stroke();
  ctx.restore();
}

function paintText(ctx, text, x, y, scale, { colour = theme.ink, align = "left", size = 12 } = {}) {
  ctx.fillStyle = colour;
  ctx.font = FONT.replace("12", String(size * scale));
  ctx.textAlign = align;
  ctx.textBaseline = "middle";
  ctx.fillText(text, x, y);
}

const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text, size = 12) {
  ruler.font = FONT.replace("12", String(size));
  return ruler.measureText(text).width;
}

function cut(text, width, size = 12) {
  if (widthOf(text, size) <= width) return text;
  let length = text.length;
  while (length > 1 && widthOf(`${text.slice(0, length)}…`, size) > width) length -= 1;
  return `${text.slice(0, length)}…`;
}

// The entries of a legend in rows of a width, in CSS pixels.
function legendRows(entries, width) {
  const rows = [[]];
  let left = width;
  for (const entry of entries) {
    const text = cut(entry.text, width - 36);
    const needs = 36 + widthOf(text) + 12;
    if (needs > left && rows.at(-1).length) {
      rows.push([]);
      left = width;
    }
    rows.at(-1).push({ ...entry, text, needs });
    left -= needs;
  }
  return entries.length ? rows : [];
}

const LEGEND_ROW = 18;
function paintLegend(ctx, rows, x, y, scale) {
  rows.forEach((row, line) => {
    let at = x;
    const middle = y + (line + 0.5) * LEGEND_ROW * scale;
    for (const entry of row) {
      paintKey(ctx, entry, at, middle, scale);
      paintText(ctx, entry.text, at + 32 * scale, middle, scale);
      at += entry.needs * scale;
    }
  });
}

function paintKey(ctx, entry, x, y, scale) {
  if (entry.ramp)
    for (let n = 0; n < 24; n++) paintSwatch(ctx, x + n * scale, y - 5 * scale, scale, n / 23);
  else if (entry.shape) paintDot(ctx, x + 16 * scale, y, entry, scale);
  else paintLine(ctx, [x, x + 26 * scale], [y, y], { width: 2, ...entry }, scale);
}

function paintSwatch(ctx, x, y, scale, height) {
  ctx.fillStyle = rampColour(height);
  ctx.fillRect(x, y, 1.5 * scale, 10 * scale);
}
