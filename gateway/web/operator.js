/** The operator's token: asked for once, kept for this tab alone. */

import { ProblemError } from "./api.js";
import { element, fill } from "./dom.js";

const STORED_AS = "playhead.operator";
const COMMAND = "playhead admin token create --role operator";

export const token = () => sessionStorage.getItem(STORED_AS);
export const forget = () => sessionStorage.removeItem(STORED_AS);

/** Whether the gateway does not take the token. */
export const isRefused = (error) => error instanceof ProblemError && [401, 403].includes(error.status);

export const whyRefused = (error) =>
  error.status === 403 ? "That token is of another role. Make one by" : "That token does not count. Make one by";

export function askForToken(view, heading, open, said = "") {
  const input = element("input", { name: "token", type: "password", autocomplete: "off", required: true });
  const form = element(
    "form",
    { class: "card sign-in" },
    element("h1", {}, heading),
    element("p", { class: "quiet" }, said || "For operators. A token is made by"),
    element("code", { class: "small" }, COMMAND),
    element("label", { class: "field" }, "Operator token", input),
    element("button", { class: "button main", type: "submit" }, "Open"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem(STORED_AS, input.value.trim());
    void open();
  });
  fill(view, form);
  input.focus();
}
