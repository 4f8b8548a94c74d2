/** What there is to watch: the profile's rows with their reasons, then the whole catalog. */

import { element, fill } from "../dom.js";
import { explain } from "../words.js";
import { poster } from "./title.js";

/** What was watched a moment ago changes the rows within seconds: they are looked at again. */
const LOOKS_MS = [1500, 2500, 4000, 8000];

/** `onOpen(title, item)` when a title is chosen. */
export async function showBrowse(view, { api, profile, onOpen, notify }) {
  const page = element("div", {}, element("p", { class: "quiet" }, "Loading your page…"));
  fill(view, page);
  const [catalog, recommended] = await Promise.all([
    api.titles().catch(failed(notify, [])),
    api.recommendations(profile.profile_id).catch(failed(notify, { rows: [] })),
  ]);
  draw(page, catalog, recommended.rows, onOpen);
  void keepCurrent(page, recommended.rows, {
    look: () => api.recommendations(profile.profile_id),
    redraw: (rows) => draw(page, catalog, rows, onOpen),
  });
}

async function keepCurrent(page, rows, { look, redraw }) {
  let shown = JSON.stringify(rows);
  for (const delayMs of LOOKS_MS) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (!page.isConnected) return;
    const told = await look().catch(() => null);
    if (told === null || !page.isConnected || JSON.stringify(told.rows) === shown) continue;
    shown = JSON.stringify(told.rows);
    redraw(told.rows);
  }
}

function draw(page, catalog, recommended, onOpen) {
  const titles = new Map(catalog.map((title) => [title.content_id, title]));
  const rows = recommended.map((row) => ({
    ...row,
    items: row.items.filter((item) => titles.has(item.content_id)),
  }));
  const first = rows.flatMap((row) => row.items)[0];
  const everything = catalog.map((title) => ({
    content_id: title.content_id,
    reason: title.genres.join(" · "),
  }));
  fill(
    page,
    first ? hero(titles.get(first.content_id), first, onOpen) : null,
    rows.map((row) => shelf(row, titles, onOpen)),
    shelf({ row: "all", reason: "Everything", items: everything }, titles, onOpen),
    catalog.length === 0
      ? element("p", { class: "quiet center" }, "The catalog is empty. Titles appear here as they are packaged.")
      : null,
  );
}

function hero(title, item, onOpen) {
  return element(
    "section",
    { class: "hero" },
    title.poster_url ? element("img", { src: title.poster_url, alt: "" }) : null,
    element("p", { class: "why" }, item.reason),
    element("h1", {}, title.title),
    element("p", { class: "quiet" }, title.description),
    element(
      "div",
      { class: "actions" },
      element(
        "button",
        { class: "button main", type: "button", on: { click: () => onOpen(title, item) } },
        item.playhead_ms ? "Go on watching" : "Watch",
      ),
    ),
  );
}

function shelf(row, titles, onOpen) {
  if (row.items.length === 0) return null;
  const cards = row.items.map((item) => card(titles.get(item.content_id), item, onOpen));
  return element(
    "section",
    { class: "row", data: { row: row.row } },
    element("h2", {}, row.reason),
    element("div", { class: "shelf" }, cards),
  );
}

function card(title, item, onOpen) {
  return element(
    "button",
    { class: "title", type: "button", data: { content: title.content_id }, on: { click: () => onOpen(title, item) } },
    poster(title, item.playhead_ms),
    element("span", { class: "name" }, title.title),
    element("span", { class: "why" }, item.reason),
  );
}

const failed = (notify, instead) => (error) => {
  notify(explain(error), "bad");
  return instead;
};
