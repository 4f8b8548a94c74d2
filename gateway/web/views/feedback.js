/** What the profile says of a title: a thumb, hidden, on its list. */

import { element } from "../dom.js";
import { explain } from "../words.js";

const WORDS = [
  { name: "favorite", label: "My list", said: { is_favorite: true }, unsaid: { is_favorite: false } },
  { name: "up", label: "I like it", said: { thumb: "up" }, unsaid: { thumb: "" } },
  { name: "down", label: "Not for me", said: { thumb: "down" }, unsaid: { thumb: "" } },
  { name: "hidden", label: "Never show", said: { is_hidden: true }, unsaid: { is_hidden: false } },
];

/** Buttons that can be pressed once it is known what was said; `onSaid` after each change. */
export function feedbackButtons(title, { api, profile, onSaid, notify }) {
  let now = { thumb: "", is_hidden: false, is_favorite: false };
  const isSaid = ({ said }) => Object.entries(said).every(([field, value]) => now[field] === value);

  const buttons = WORDS.map((word) =>
    element(
      "button",
      { type: "button", disabled: true, data: { feedback: word.name }, on: { click: () => void say(word) } },
      word.label,
    ),
  );
  const show = (isReady) =>
    buttons.forEach((button, place) => {
      button.disabled = !isReady;
      button.setAttribute("aria-pressed", String(isSaid(WORDS[place])));
    });

  async function say(word) {
    show(false);
    try {
      const change = isSaid(word) ? word.unsaid : word.said;
      now = await api.giveFeedback(profile.profile_id, title.content_id, { ...now, ...change });
      onSaid();
    } catch (error) {
      notify(explain(error), "bad");
    }
    show(true);
  }

  async function learn() {
    try {
      now = (await api.feedback(profile.profile_id)).get(title.content_id) ?? now;
      show(true);
    } catch (error) {
      notify(explain(error), "bad");
    }
  }

  void learn();
  return element("div", { class: "switch", role: "group", "aria-label": "What you think of it" }, buttons);
}
