/** What the panel's cards are made of. */

import { element, write } from "../dom.js";

export function card(name, heading, ...children) {
  return element("section", { class: "card", data: { card: name } }, element("header", {}, element("h2", {}, heading)), children);
}

/** Named figures whose values `set` changes: `{name: label}`. */
export function figures(labels) {
  const values = {};
  const shown = Object.entries(labels).map(([name, label]) => {
    values[name] = element("dd", { data: { figure: name } }, "–");
    return element("div", { class: `figure ${name}` }, element("dt", {}, label), values[name]);
  });
  return {
    node: element("dl", { class: "figures", data: { count: shown.length } }, shown),
    set(told) {
      for (const [name, text] of Object.entries(told)) write(values[name], text);
    },
  };
}

/** A chip whose text and tone change. */
export function chip(text = "") {
  const node = element("span", { class: "chip" }, text);
  return {
    node,
    set(told, tone = "") {
      write(node, told);
      node.className = `chip ${tone}`;
    },
  };
}
