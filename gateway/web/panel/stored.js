/** The session's events and figures as they lie in ClickHouse, asked for every second. */

import { element, fill } from "../dom.js";
import { rate, span, timeOfDay } from "../words.js";
import { card, chip, figures } from "./card.js";

const LOOK_MS = 1000;
/** As many as the gateway tells. */
const EVENTS_MAX = 60;

export class StoredCard {
  #url;
  #onLicenses;
  #count = chip("0 stored");
  #only = element(
    "button",
    { class: "button slim push", type: "button", "aria-pressed": "false", on: { click: () => this.#toggle() } },
    "Hide measurements",
  );
  #list = element("ol", { class: "log" });
  #figures = figures({ ttff: "First frame", stalls: "Stalls", played: "Played", average: "Average" });
  #timer = null;
  #isAsking = false;
  #newest = "";

  /** `onLicenses` gets the stored license decisions, newest first. */
  constructor(onLicenses) {
    this.#onLicenses = onLicenses;
    this.node = card("stored", "Stored events", this.#figures.node, this.#list);
    this.node.querySelector("header").append(this.#only, this.#count.node);
  }

  follow(session) {
    this.stop();
    this.#url = session.events_url.replace(/\/events$/, "/stored");
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  #toggle() {
    const isHidden = this.#list.classList.toggle("without-measurements");
    this.#only.setAttribute("aria-pressed", String(isHidden));
    this.#only.textContent = isHidden ? "Show measurements" : "Hide measurements";
  }

  async #look() {
    if (this.#isAsking || document.hidden) return;
    this.#isAsking = true;
    try {
      const answer = await fetch(this.#url);
      if (answer.ok) this.#show(await answer.json());
      else this.#count.set("analytics is away", "bad");
    } catch {
      this.#count.set("the gateway is away", "bad");
    } finally {
      this.#isAsking = false;
    }
  }

  #show({ events, licenses, quality }) {
    this.#onLicenses(licenses);
    if (quality !== null) this.#showQuality(quality);
    const newest = events.length > 0 ? `${events[0].kafka_partition}:${events[0].kafka_offset}:${events.length}` : "";
    if (newest === this.#newest) return;
    this.#newest = newest;
    this.#count.set(`${events.length}${events.length === EVENTS_MAX ? " newest" : ""} stored`, "good");
    fill(this.#list, events.map(line));
  }

  #showQuality(quality) {
    const ttff = quality.time_to_first_frame_ms;
    this.#figures.set({
      ttff: ttff === null ? "–" : span(ttff),
      stalls: quality.rebuffer_count === 0 ? "none" : `${quality.rebuffer_count} · ${span(quality.rebuffer_duration_ms)}`,
      played: span(quality.played_ms),
      average: rate(quality.average_bitrate_kbps),
    });
  }
}

function line(event) {
  const said = [
    event.detail,
    event.bitrate_kbps === null ? null : rate(event.bitrate_kbps),
    event.cdn || null,
    event.via === "sdk" ? null : event.via,
  ];
  return element(
    "li",
    { class: `via-${event.via}`, data: { type: event.type } },
    element("span", { class: "at" }, timeOfDay(event.at_ms).slice(0, 10)),
    element("span", { class: "type" }, event.type),
    element("span", { class: "detail" }, said.filter(Boolean).join(" · ")),
    element("span", { class: "offset", title: "Kafka partition and offset" }, `${event.kafka_partition}/${event.kafka_offset}`),
  );
}
