/** The live panel: what the system knows and decides about the run beside it. */

import { element } from "../dom.js";
import { rate, span, spoken, timeOfDay } from "../words.js";
import { card, figures } from "./card.js";
import { Chart } from "./chart.js";
import { EdgesCard } from "./edges.js";
import { LicenseCard } from "./license.js";
import { RecommendationsCard } from "./recommendations.js";
import { StoredCard } from "./stored.js";

const SAMPLE_MS = 500;

export class Panel {
  #run = null;
  #timer;
  #chart = new Chart();
  #now = figures({ ceiling: "Ceiling", rendition: "On screen", throughput: "Throughput", buffer: "Buffer", cdn: "CDN", segment: "Last segment" });
  #why = element("p", { class: "quiet small", data: { figure: "why" } }, "No decision yet.");
  #license = new LicenseCard();
  #stored = new StoredCard((licenses) => this.#license.show(licenses));
  #edges;
  #recommendations;

  constructor({ api, profile, cdns, notify }) {
    this.#edges = new EdgesCard(cdns, notify);
    this.#recommendations = new RecommendationsCard(api, profile.profile_id);
    this.chart = element(
      "section",
      { class: "card chart-card" },
      element("header", {}, element("h2", {}, "Bitrate"), legend()),
      this.#chart.node,
      this.#why,
    );
    this.stored = this.#stored.node;
    this.node = element(
      "aside",
      { class: "panel", "aria-label": "Live panel" },
      card("now", "Now", this.#now.node),
      this.#edges.node,
      this.#license.node,
      this.#recommendations.node,
    );
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  /** Shows this run from now on. */
  follow(run) {
    this.#run = run;
    this.#chart.clear();
    this.#stored.follow(run.session);
    this.#recommendations.begin();
  }

  decided({ ceiling_kbps: ceilingKbps, rendition, reason, decided_at_ms: atMs }) {
    const said = [`${timeOfDay(atMs)}`, spoken(reason), `ceiling ${rate(ceilingKbps)}`, rendition];
    this.#why.textContent = said.filter(Boolean).join(" · ");
  }

  /** The run is over; what is stored of it still comes in. */
  rest() {
    this.#run = null;
    this.#recommendations.stop();
    void this.#recommendations.look();
  }

  stop() {
    clearInterval(this.#timer);
    this.#stored.stop();
    this.#edges.stop();
    this.#recommendations.stop();
  }

  #sample() {
    const run = this.#run;
    if (run === null || document.hidden) return;
    const now = Date.now();
    const playing = run.playing();
    const segment = run.network.last;
    const ceilingKbps = run.decision?.ceiling_kbps ?? null;
    this.#chart.add({
      at: now,
      ceilingKbps,
      renditionKbps: playing?.bitrateKbps ?? null,
      throughputKbps: run.throughputKbps,
      isStalled: run.isStalled,
    });
    this.#chart.draw(run.ladder(), now);
    this.#edges.use(segment?.cdn);
    this.#now.set({
      ceiling: ceilingKbps === null ? "none" : rate(ceilingKbps),
      rendition: playing === null ? "–" : `${playing.height}p`,
      throughput: rate(run.throughputKbps),
      buffer: span(run.bufferLengthMs),
      cdn: segment?.cdn ?? "–",
      segment: segment === null ? "–" : span(segment.ms),
    });
  }
}

function legend() {
  const names = { ceiling: "ceiling decided", rendition: "on screen", throughput: "throughput" };
  return element(
    "div",
    { class: "legend" },
    Object.entries(names).map(([name, label]) => element("span", { class: name }, label)),
  );
}
