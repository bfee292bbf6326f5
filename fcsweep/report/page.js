"use strict";
// A click on the name of a column sorts the rows by it; a second one turns them round. Empty cells stay last.
function key(row, place) {
  const cell = row.cells[place];
  return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sort(table, heads, place) {
  const down = heads[place].getAttribute("aria-sort") === "ascending";
  const rows = Array.from(table.tBodies[0].rows).map((row) => [key(row, place), row]);
  const there = rows.filter(([value]) => value !== "");
  const empty = rows.filter(([value]) => value === "");
  there.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[place].setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...there.concat(empty).map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sorted")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, place) => head.firstChild.addEventListener("click", () => sort(table, heads, place)));
}
