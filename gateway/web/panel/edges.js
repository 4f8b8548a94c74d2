/** The demo's CDN edges: what they do now, and the switches that slow, break and mend them. */

import { element, write } from "../dom.js";
import { rate } from "../words.js";
import { card, chip } from "./card.js";

const LOOK_MS = 2000;
const THROTTLES_KBPS = [250, 500, 800, 1200, 2000, 4000];
const BROKEN_STATUS = 503;

export class EdgesCard {
  #edges;
  #timer;

  constructor(cdns, notify) {
    this.#edges = cdns.map((cdn) => new Edge(cdn, notify));
    this.node = card("edges", "CDN edges", this.#edges.map((edge) => edge.node));
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#look();
  }

  /** Marks the CDN of the last segment. */
  use(name) {
    for (const edge of this.#edges) edge.use(edge.name === name);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #look() {
    for (const edge of this.#edges) void edge.look();
  }
}

class Edge {
  #url;
  #notify;
  #state = chip("…");
  #throttle;
  #fault;
  #isBroken = false;

  constructor(cdn, notify) {
    this.name = cdn.name;
    this.#url = `${new URL(cdn.base_url).origin}/_edge`;
    this.#notify = notify;
    this.#throttle = throttleSelect((kbps) => this.#put("throttle", { kbps }));
    this.#fault = element(
      "button",
      {
        class: "button slim",
        type: "button",
        data: { action: "fault" },
        on: { click: () => this.#put("fault", { status: this.#isBroken ? null : BROKEN_STATUS }) },
      },
      "Break",
    );
    this.node = element(
      "div",
      { class: "edge", data: { edge: cdn.name } },
      element("span", { class: "name" }, cdn.name, element("span", { class: "quiet small" }, `  ${new URL(cdn.base_url).host}`)),
      element("span", { class: "state" }, this.#state.node),
      element("div", { class: "controls" }, this.#throttle, this.#fault),
    );
  }

  use(isInUse) {
    this.node.classList.toggle("in-use", isInUse);
  }

  async look() {
    try {
      const answer = await fetch(`${this.#url}/state`);
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#show(await answer.json());
    } catch {
      this.#state.set("away", "bad");
    }
  }

  async #put(name, body) {
    try {
      const answer = await fetch(`${this.#url}/${name}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      this.#show(await answer.json());
    } catch {
      this.#notify(`The edge ${this.name} does not take that.`, "bad");
    }
  }

  #show({ throttle_kbps: throttleKbps, fault }) {
    this.#isBroken = fault.status !== null || fault.drop;
    write(this.#fault, this.#isBroken ? "Mend" : "Break");
    if (document.activeElement !== this.#throttle) this.#throttle.value = String(throttleKbps ?? "");
    if (this.#isBroken) this.#state.set(fault.drop ? "cuts connections" : `answers ${fault.status}`, "bad");
    else if (throttleKbps !== null) this.#state.set(rate(throttleKbps));
    else this.#state.set("healthy", "good");
  }
}

function throttleSelect(onChosen) {
  const select = element(
    "select",
    { "aria-label": "Throttle" },
    element("option", { value: "" }, "No throttle"),
    THROTTLES_KBPS.map((kbps) => element("option", { value: kbps }, rate(kbps))),
  );
  select.addEventListener("change", () => {
    onChosen(select.value === "" ? null : Number(select.value));
    select.blur();
  });
  return select;
}
