/** A dry run, what it showed, and only then the button. */

import { element, fill } from "./dom.js";
import { table } from "./table.js";
import { explain } from "./words.js";

export class Plan {
  #run;
  #done;
  #asked = 0;

  /** `run` sends a body to the gateway; `done` is called after an operation was run. */
  constructor(run, done) {
    this.#run = run;
    this.#done = done;
    this.node = element("div", { class: "plan", hidden: true, role: "status", "aria-live": "polite" });
  }

  /** Ask for the dry run of the operation. */
  async show(operation) {
    const number = ++this.#asked;
    this.node.hidden = false;
    fill(this.node, element("p", { class: "quiet" }, "Dry run…"));
    const told = await this.#ask({ operation });
    if (number !== this.#asked) return;
    const button = element("button", { class: "button main", type: "button", on: { click: () => void this.#perform(operation, told.plan) } }, "Run it");
    fill(this.node, ...shown(told), told.plan ? button : null);
  }

  async #perform(operation, plan) {
    this.#asked += 1;
    fill(this.node, element("p", { class: "quiet" }, "Running…"));
    const told = await this.#ask({ operation, plan });
    fill(this.node, ...shown(told));
    await this.#done();
  }

  async #ask(body) {
    try {
      return await this.#run(body);
    } catch (error) {
      return { command: "", exit_code: 1, said: null, error: explain(error), plan: "" };
    }
  }
}

function shown({ command, exit_code: code, said, error }) {
  const outcome = code === null ? "goes on in the background" : code === 0 ? "" : `exit code ${code}`;
  return [
    command ? element("code", { class: "small" }, command) : null,
    outcome ? element("p", { class: "quiet" }, outcome) : null,
    error ? element("p", { class: "bad" }, error) : null,
    said === null || said === undefined ? null : element("div", { class: "table" }, rowsOf(said)),
  ];
}

function rowsOf(said) {
  const { differences, ...figures } = Array.isArray(said) ? {} : said;
  const rows = Array.isArray(said) ? said : [figures];
  if (!rows.length) return element("p", { class: "quiet" }, "Nothing.");
  const heads = Object.keys(rows[0]);
  const node = element("table", { "aria-label": "Outcome" });
  table(node, heads.map((name) => name.replaceAll("_", " ")), rows.map((row) => heads.map((name) => row[name])));
  if (!differences?.length) return node;
  return element("div", {}, node, rowsOf(differences));
}
