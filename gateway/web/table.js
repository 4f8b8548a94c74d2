/** A table of texts; a cell may be an element, or `{text, tone}`. */

import { element, fill } from "./dom.js";

export function table(node, heads, rows) {
  const line = (name, cells) => element("tr", {}, cells.map((cell) => cellOf(name, cell)));
  fill(node, element("thead", {}, line("th", heads)), element("tbody", {}, rows.map((row) => line("td", row))));
}

function cellOf(name, cell) {
  if (cell instanceof Node) return element(name, {}, cell);
  if (cell !== null && typeof cell === "object") return element(name, { class: cell.tone || null }, String(cell.text));
  return element(name, {}, cell === null || cell === undefined ? "" : String(cell));
}
