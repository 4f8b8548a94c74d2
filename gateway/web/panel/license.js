/** The license agent's decisions on this session, as they are stored. */

import { element, fill } from "../dom.js";
import { spoken, timeOfDay } from "../words.js";
import { card, chip } from "./card.js";

const SYSTEMS = { clearkey: "ClearKey", identity: "HLS identity key" };

export class LicenseCard {
  #outcome = chip("waiting");
  #said = element("p", { class: "quiet small" }, "No decision is stored yet.");
  #keys = element("ul", { class: "keys" });

  constructor() {
    this.node = card("license", "License", this.#said, this.#keys);
    this.node.querySelector("header").append(this.#outcome.node);
  }

  /** `licenses` newest first. */
  show(licenses) {
    const asked = licenses.filter((decision) => decision.action === "license");
    const newest = asked[0] ?? licenses.find((decision) => decision.action === "open");
    if (newest === undefined) return;
    const isGranted = newest.outcome === "granted";
    this.#outcome.set(newest.outcome, isGranted ? "good" : "bad");
    fill(this.#said, sentence(newest, licenses));
    fill(this.#keys, keysOf(asked));
  }
}

function sentence(decision, licenses) {
  const open = licenses.find((each) => each.action === "open");
  const parts = [
    timeOfDay(decision.decided_at_ms),
    decision.action === "open" ? "session opened" : SYSTEMS[decision.system] ?? decision.system,
    decision.reason === "ok" ? null : `refused: ${spoken(decision.reason)}`,
    open?.tiers.length ? `tiers ${open.tiers.join(", ")}` : null,
    `policy ${decision.policy_version}`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** Every key asked for, whether it was granted last time. */
function keysOf(decisions) {
  const granted = new Map();
  for (const decision of [...decisions].reverse()) {
    for (const keyId of decision.key_ids_asked) {
      granted.set(keyId, decision.key_ids_granted.includes(keyId));
    }
  }
  return [...granted].map(([keyId, isGranted]) =>
    element(
      "li",
      { data: { granted: isGranted } },
      element("span", { class: isGranted ? "tick" : "cross" }, isGranted ? "✓" : "✗"),
      keyId,
    ),
  );
}
