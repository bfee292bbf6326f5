// The tables of runs and points, what is selected side by side, and the controls above them.

const sheets = [];

class Sheet {
  constructor(table) {
    this.table = table;
    this.source = table.id === "points" ? points : runs;
    this.rows = Array.from(table.tBodies[0].rows, (row) => ({
      row,
      place: Number(row.dataset.place),
    }));
    this.heads = Array.from(table.tHead.rows[0].cells);
    for (const head of this.heads) this.head(head);
    table.setAttribute("role", "grid");
    table.tBodies[0].addEventListener("click", (event) => this.choose(event.target.closest("tr")));
    table.tBodies[0].addEventListener("keydown", (event) => this.key(event));
    table.tBodies[0].addEventListener("pointerover", (event) =>
      hover(this.runsIn(event.target.closest("tr"))),
    );
    table.addEventListener("pointerleave", () => hover([]));
    table
      .closest("section")
      .querySelector(".csv")
      .addEventListener("click", () =>
        saveAs(`${table.id}.csv`, csvOf(this.numbers()), "text/csv"),
      );
    sheets.push(this);
  }

  head(head) {
    const name = head.textContent;
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () =>
      change({ sort: state.sort === name ? `-${name}` : name }),
    );
    head.replaceChildren(button);
  }

  runsIn(row) {
    if (!row) return [];
    return this.source === runs
      ? [Number(row.dataset.place)]
      : points.runs[Number(row.dataset.place)];
  }

  choose(row) {
    if (row && !String(getSelection())) toggle(this.runsIn(row));
  }

  // The arrow keys go from row to row, Enter and the space bar select.
  key(event) {
    const row = event.target.closest("tr");
    const shown = this.rows.map((one) => one.row).filter((one) => !one.hidden);
    const next = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (next) this.focus(shown[Math.max(0, Math.min(shown.length - 1, shown.indexOf(row) + next))]);
    else if (event.key === "Enter" || event.key === " ") this.choose(row);
    else return;
    event.preventDefault();
  }

  focus(row) {
    for (const one of this.rows) one.row.tabIndex = -1;
    row.tabIndex = 0;
    row.focus();
  }

  cells(name) {
    if (name === "status") return this.source.status;
    if (name === this.heads[0].textContent) return this.source.names;
    return this.source.columns.find((column) => column.name === name)?.values;
  }

  render() {
    this.sort();
    const shows = this.source === runs ? isRunShown : isShown;
    for (const { row, place } of this.rows) {
      row.hidden = !shows(place);
      row.setAttribute("aria-selected", isSelected(this.runsIn(row)));
      row.tabIndex = -1;
    }
    const first = this.rows.find((one) => !one.row.hidden);
    if (first) first.row.tabIndex = 0;
  }

  sort() {
    const down = state.sort.startsWith("-");
    const name = state.sort.slice(down ? 1 : 0);
    if (state.sort !== this.sorted && (this.cells(name) || !state.sort)) {
      const cells = this.cells(name) ?? null;
      const order = [...this.rows].sort((a, b) =>
        cells ? compare(cells[a.place], cells[b.place], down) : 0,
      );
      this.table.tBodies[0].append(...order.map((one) => one.row));
      this.rows = order;
      this.sorted = state.sort;
    }
    for (const head of this.heads) {
      if (head.textContent === name && state.sort)
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  numbers() {
    const shown = this.rows.filter((one) => !one.row.hidden).map((one) => one.place);
    const { columns, names, status } = this.source;
    return {
      head: [this.source === runs ? "trial" : "trials", "status", ...columns.map((one) => one.key)],
      rows: shown.map((row) => [names[row], status[row], ...columns.map((one) => one.values[row])]),
    };
  }
}

// Empty cells stay last, whichever way the others are sorted.
function compare(a, b, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order =
    isNumber(a) && isNumber(b)
      ? a - b
      : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -order : order;
}

// --- What is selected -----------------------------------------------------------------------------

const MOST_BESIDE = 12;

function renderSelection() {
  const section = document.getElementById("selection");
  section.hidden = !state.selected.length;
  const chosen = state.selected.slice(0, MOST_BESIDE);
  if (!chosen.length) return;
  const styles = toldApart();
  const head = element(
    "tr",
    {},
    element("th", { scope: "col" }, chosen.length > 1 ? "what differs" : "trial"),
    ...chosen.map((run) => headOf(run, styles.get(itemOf[run]))),
  );
  const differ = runs.columns.filter(
    (column) =>
      chosen.length === 1 ||
      new Set(chosen.map((run) => JSON.stringify(column.values[run]))).size > 1,
  );
  const rows = [
    ["status", (run) => runs.status[run]],
    ...differ.map((column) => [column.name, (run) => short(column.values[run])]),
  ];
  const table = element(
    "table",
    {},
    element("thead", {}, head),
    element(
      "tbody",
      {},
      ...rows.map(([name, cell]) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          ...chosen.map((run) => element("td", {}, cell(run))),
        ),
      ),
    ),
  );
  const more = state.selected.length - chosen.length;
  section
    .querySelector(".scroll")
    .replaceChildren(
      table,
      ...(more > 0 ? [element("p", { class: "hint" }, `and ${more} more`)] : []),
    );
}

function headOf(run, style) {
  const folder = runs.folders[run];
  const name = called(runs, run) + (runs.best.includes(run) ? " ★" : "");
  const head = element(
    "th",
    { scope: "col" },
    element("a", { href: `${folder.split("/").map(encodeURIComponent).join("/")}/` }, name),
  );
  if (style) head.style.borderTop = `4px solid ${style.colour}`;
  return head;
}

// --- Controls -------------------------------------------------------------------------------------

function makeControls() {
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => change({ filter: filter.value }));
  document
    .getElementById("beside")
    .addEventListener("click", () =>
      document.getElementById("selection").scrollIntoView({ block: "center" }),
    );
  document
    .getElementById("clear")
    .addEventListener("click", () => change({ selected: [], brush: "", filter: "" }));
  const statuses = [...new Set(runs.status)];
  const hide = document.getElementById("hide");
  if (statuses.length > 1)
    for (const status of statuses)
      hide.append(
        checkbox(
          status,
          () => !isHidden(status),
          () => flip("hide", status),
        ),
      );
  listeners.push(renderControls);
}

function checkbox(text, is, does) {
  const box = element("input", { type: "checkbox" });
  box.addEventListener("change", does);
  listeners.push(() => (box.checked = is()));
  return element("label", { class: "check" }, box, ` ${text}`);
}

function renderControls() {
  const filter = document.getElementById("filter");
  if (filter.value !== state.filter) filter.value = state.filter;
  filter.setAttribute("aria-invalid", Boolean(state.error));
  const shown = shownItems().length;
  const what = points ? "points" : "trials";
  document.getElementById("shown").textContent =
    state.error ||
    `${shown} of ${items.count} ${what} shown${state.selected.length ? `, ${state.selected.length} selected` : ""}`;
  document.getElementById("beside").disabled = !state.selected.length;
  document.getElementById("clear").disabled =
    !state.selected.length && !state.filter && !state.brush;
}
