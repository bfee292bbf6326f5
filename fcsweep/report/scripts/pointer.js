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
