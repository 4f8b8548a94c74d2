/** What the system says, in words and figures for people. */

const REFUSALS = {
  subscription: "There is no running subscription on this account.",
  plan: "This title is not part of your plan.",
  region: "This title may not be shown in your region.",
  anonymizer: "This title may not be played through a VPN or proxy. Turn it off, then try again.",
  window: "This title is not available at this time.",
  rental: "Your time to watch this title is over.",
  maturity: "This title is above the age limit of this profile.",
  "profile-pin": "Choose the profile again, and say its PIN.",
  pin: "This is not the profile's PIN.",
  device: "This device is not supported.",
  "device-limit": "Your plan has no room for another device. Remove one in your account.",
  "device-key": "This device is known by another key. Remove it in your account, then sign in here.",
  "concurrent-streams": "All streams of your plan are in use.",
  tier: "This device may not play any rendition of this title.",
  "unknown-content": "This title is no longer in the catalog.",
  "unknown-profile": "This profile no longer exists.",
  "session-ended": "This session was ended from another place.",
  "signed-out": "You were signed out everywhere. Please sign in again.",
  revoked: "This service was taken back from you or your device. Ask whoever runs it.",
  "session-expired": "This session has expired. Press play to go on.",
  "key-service": "The license service cannot be reached. Try again in a moment.",
  "no-upstream": "This device's protection system is not connected here.",
  "upstream-refused": "The license service does not accept this device.",
  "upstream-unavailable": "The license service cannot be reached. Try again in a moment.",
  "no-answer": "The system did not decide in time. Try again in a moment.",
  unavailable: "The system is busy. Try again in a moment.",
  overloaded: "The system is busy. Try again in a moment.",
};

/** A refusal or a failure as one sentence. */
export function explain(error) {
  if (error?.name === "ProblemError") return REFUSALS[error.reason] ?? byStatus(error);
  if (error instanceof TypeError) return "The gateway cannot be reached.";
  return error?.message || "Something went wrong.";
}

/** A reason word of a decision as it stands in the log: `throughput-fell` → "throughput fell". */
export const spoken = (reason) => reason.replaceAll("-", " ").replaceAll("_", " ");

/** 2500 → "2.5 Mbit/s". */
export function rate(kbps) {
  if (kbps === null || kbps === undefined) return "–";
  if (kbps >= 100_000) return `${Math.round(kbps / 1000)} Mbit/s`;
  if (kbps >= 1000) return `${(kbps / 1000).toFixed(1)} Mbit/s`;
  return `${Math.round(kbps)} kbit/s`;
}

/** 61200 → "1:01". */
export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const tail = `${String(m).padStart(h ? 2 : 1, "0")}:${String(s).padStart(2, "0")}`;
  return h ? `${h}:${tail}` : tail;
}

/** 12400 → "12.4 s", 84 → "84 ms". */
export const span = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** A language tag as its name. */
export function language(tag) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** The time of day with milliseconds, as events show it. */
export function timeOfDay(ms) {
  const at = new Date(ms);
  const part = (value, width) => String(value).padStart(width, "0");
  return `${part(at.getHours(), 2)}:${part(at.getMinutes(), 2)}:${part(at.getSeconds(), 2)}.${part(at.getMilliseconds(), 3)}`;
}

function byStatus(error) {
  if (error.status === 401) return "Please sign in again.";
  if (error.status === 402) return REFUSALS.subscription;
  if (error.status === 429) return "Too many attempts. Try again in a moment.";
  if (error.status >= 500) return "The system is busy. Try again in a moment.";
  return error.message;
}
