/** Elements of the page. Text is only ever text: nothing here reads markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `on` holds listeners, `data` the data attributes; null children are left out. */
export function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** The same of a drawing. */
export function drawing(name, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, name), attributes, children);
}

/** Puts these children in the place of what was there. */
export function fill(parent, ...children) {
  parent.replaceChildren(...present(children));
  return parent;
}

/** Sets a text only where it changed, so that a live region stays quiet. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function furnish(made, { on = {}, data = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [name, value] of Object.entries(data)) made.dataset[name] = String(value);
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...present(children));
  return made;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined);
}
