/** What the players' configurations have in common. */

/** Seconds ahead: short, so that a decision shows soon on the screen. */
export const BUFFER_S = 10;

export const CMCD_EVENTS = ["ps", "bc", "e", "t", "rr", "m", "um", "b", "pe", "pc"];
export const CMCD_INTERVAL_S = 10;
export const CMCD_BATCH = 1;

/** Why playback failed; `code` is the player's own. */
export class PlayerError extends Error {
  constructor(code, message, isFatal = true) {
    super(message);
    this.name = "PlayerError";
    this.code = String(code);
    this.isFatal = isFatal;
  }
}

/** Of renditions with one height the last counts; lowest first. */
export function byHeight(renditions) {
  const found = new Map();
  for (const rendition of renditions) found.set(rendition.height, rendition);
  return [...found.values()].sort((one, other) => one.bitrateKbps - other.bitrateKbps);
}
