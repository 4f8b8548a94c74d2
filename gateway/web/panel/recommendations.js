/** What watching changes in the profile's recommendations, as soon as it changes. */

import { element, fill } from "../dom.js";
import { card } from "./card.js";

const FIRST_LOOK_MS = 4000;
const LOOK_MS = 12_000;
const CHANGES_MAX = 6;

export class RecommendationsCard {
  #api;
  #profileId;
  #before = null;
  #changes = [];
  #timer = null;
  #list = element("ul", { class: "changes" }, element("li", { class: "quiet small" }, "Nothing has changed yet."));

  constructor(api, profileId) {
    this.#api = api;
    this.#profileId = profileId;
    this.node = card("recommendations", "Recommendations", this.#list);
    void this.look();
  }

  /** Playback has begun: what follows from it comes within seconds. */
  begin() {
    this.stop();
    this.#timer = setTimeout(() => {
      void this.look();
      this.#timer = setInterval(() => void this.look(), LOOK_MS);
    }, FIRST_LOOK_MS);
  }

  stop() {
    clearTimeout(this.#timer);
    clearInterval(this.#timer);
  }

  async look() {
    let told;
    try {
      told = await this.#api.recommendations(this.#profileId);
    } catch {
      return;
    }
    const places = placesOf(told.rows);
    if (this.#before !== null) this.#show(compare(this.#before, places));
    this.#before = places;
  }

  #show(changes) {
    if (changes.length === 0) return;
    const isNew = ({ place }) => changes.every((change) => change.place !== place);
    this.#changes = [...changes, ...this.#changes.filter(isNew)].slice(0, CHANGES_MAX);
    fill(
      this.#list,
      this.#changes.map(({ title, row, reason }) =>
        element(
          "li",
          {},
          element("span", {}, `${title} → ${row}`),
          element("span", { class: "why small" }, reason),
        ),
      ),
    );
  }
}

/** `row/content → item`, in the order of the page. */
function placesOf(rows) {
  return new Map(
    rows.flatMap((row) =>
      row.items.map((item) => [
        `${row.row}/${item.content_id}`,
        { title: item.title, row: row.reason, reason: item.reason },
      ]),
    ),
  );
}

/** What stands where it did not stand, or for another reason. */
function compare(before, now) {
  return [...now]
    .filter(([place, item]) => before.get(place)?.reason !== item.reason)
    .map(([place, item]) => ({ place, ...item }));
}
