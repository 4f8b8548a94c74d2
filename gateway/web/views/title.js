/** One title: its poster, and what is known of it before it plays. */

import { element, fill } from "../dom.js";
import { PLAYERS } from "../players/player.js";
import { clock, language } from "../words.js";
import { feedbackButtons } from "./feedback.js";

/** The picture of a title, with how far it was watched. */
export function poster(title, playheadMs = 0) {
  const watched = playheadMs ? element("progress", { max: title.duration_ms, value: playheadMs }) : null;
  return element(
    "span",
    { class: "poster" },
    title.poster_url ? element("img", { src: title.poster_url, alt: "", loading: "lazy" }) : null,
    element("span", { class: "length" }, clock(title.duration_ms)),
    watched,
  );
}

/** A dialog with the title's facts, and what the profile says of it; `onPlay` when the viewer presses Play. */
export function showDetail(title, { item, player, onPlayer, onPlay, ...feedback }) {
  const dialog = element("dialog", { class: "detail", "aria-label": title.title });
  const close = () => dialog.close();
  fill(
    dialog,
    element("div", { class: "cover" }, title.poster_url ? element("img", { src: title.poster_url, alt: "" }) : null),
    element(
      "div",
      { class: "body" },
      item?.reason ? element("p", { class: "why" }, item.reason) : null,
      element("h1", {}, title.title),
      facts(title),
      element("p", { class: "quiet" }, title.description),
      element("div", { class: "actions" }, feedbackButtons(title, feedback)),
      element(
        "div",
        { class: "actions" },
        element(
          "button",
          {
            class: "button main",
            type: "button",
            data: { action: "play" },
            on: { click: () => { close(); onPlay(); } },
          },
          item?.playhead_ms ? `Play from ${clock(item.playhead_ms)}` : "Play",
        ),
        playerSwitch(player, onPlayer),
        element("button", { class: "button plain push", type: "button", on: { click: close } }, "Close"),
      ),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** Which of the three players plays. */
export function playerSwitch(chosen, onChosen) {
  const buttons = PLAYERS.map(({ name, label, protocol }) =>
    element(
      "button",
      { type: "button", title: protocol, "aria-pressed": String(name === chosen), data: { player: name } },
      label,
    ),
  );
  const group = element("div", { class: "switch", role: "group", "aria-label": "Player" }, buttons);
  group.addEventListener("click", (event) => {
    const name = event.target.dataset?.player;
    if (!name) return;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.player === name));
    onChosen(name);
  });
  return group;
}

function facts(title) {
  const spoken = title.audio_languages.map(language).join(", ");
  const written = title.subtitle_languages.map(language).join(", ");
  const said = [
    title.year || null,
    title.maturity ? `${title.maturity}+` : "All ages",
    clock(title.duration_ms),
    ...title.genres,
    title.heights.length ? `up to ${Math.max(...title.heights)}p` : null,
    spoken ? `Audio: ${spoken}` : null,
    written ? `Subtitles: ${written}` : null,
  ];
  return element("div", { class: "facts" }, said.filter(Boolean).map((fact) => element("span", { class: "chip" }, String(fact))));
}
