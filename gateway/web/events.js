/**
 * The SDK: posts playback events of one player instance, at least once, in order.
 *
 * An event keeps its id and sequence for ever, so whatever is sent twice is stored once. It leaves
 * the queue only when the gateway says that it is durable, or that it never will be.
 */

import { uuid7 } from "./ids.js";

export const BATCH_EVENTS_MAX = 100;
export const QUEUE_EVENTS_MAX = 2000;
const BEACON_BYTES_MAX = 60_000;
const GATHER_MS = 150;
const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 30_000;

export class EventReporter {
  #queue = [];
  #sequence = 0;
  #timer = null;
  #sending = null;
  #failures = 0;
  #isRefused = false;

  /** `post(url, events)` answers `{status, retryAfterMs, refused}`; see `postEvents`. */
  constructor({ eventsUrl, sessionId, now = Date.now, post = postEvents, beacon = sendBeacon }) {
    this.source = `page-${uuid7(now())}`;
    this.dropped = 0;
    this.accepted = 0;
    this.eventsUrl = eventsUrl;
    this.sessionId = sessionId;
    this.now = now;
    this.post = post;
    this.beacon = beacon;
  }

  /** Takes an event; `fields` are those of its type, without undefined ones. */
  report(type, fields = {}, atMs = this.now()) {
    if (this.#isRefused || this.#queue.length >= QUEUE_EVENTS_MAX) {
      this.dropped += 1;
      return;
    }
    this.#queue.push({
      id: uuid7(atMs),
      type,
      session_id: this.sessionId,
      source: this.source,
      sequence: this.#sequence,
      at: new Date(atMs).toISOString(),
      ...fields,
    });
    this.#sequence += 1;
    this.#schedule(GATHER_MS);
  }

  /** What waits for the gateway. */
  get pending() {
    return this.#queue.length;
  }

  /** Sends until nothing waits, or until the gateway cannot be reached. */
  async flush() {
    this.#cancel();
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    await this.#sending;
  }

  /**
   * For a page that goes away: hands all of it to the browser. The queue is kept, since nobody
   * tells whether the beacon arrived; where the page lives on, it is sent again.
   */
  leave() {
    let lines = [];
    let size = 0;
    for (const event of this.#queue) {
      const line = JSON.stringify(event);
      if (size + line.length > BEACON_BYTES_MAX && lines.length > 0) {
        this.beacon(this.eventsUrl, lines.join("\n"));
        [lines, size] = [[], 0];
      }
      lines.push(line);
      size += line.length + 1;
    }
    if (lines.length > 0) this.beacon(this.eventsUrl, lines.join("\n"));
  }

  async #sendAll() {
    while (this.#queue.length > 0) {
      const batch = this.#queue.slice(0, BATCH_EVENTS_MAX);
      const answer = await this.post(this.eventsUrl, batch).catch(() => ({ status: 0 }));
      if (!this.#settle(batch, answer)) return;
    }
  }

  /** Takes out of the queue what is decided; whether to go on sending at once. */
  #settle(batch, { status, retryAfterMs = 0, refused = [] }) {
    if (status === 202 || status === 207 || (status === 400 && refused.length > 0)) {
      this.#failures = 0;
      this.accepted += batch.length - refused.length;
      this.dropped += refused.length;
      this.#queue.splice(0, batch.length);
      return true;
    }
    if (status === 0 || status === 408 || status === 429 || status >= 500) {
      this.#failures += 1;
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (this.#failures - 1));
      this.#schedule(Math.max(retryAfterMs, backoffMs * (0.5 + Math.random() / 2)));
      return false;
    }
    this.#isRefused = true;
    this.dropped += this.#queue.length;
    this.#queue = [];
    return false;
  }

  #schedule(delayMs) {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.flush();
    }, delayMs);
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}

/** One POST. Refused items of a 207 or 400 stand in `refused`. */
export async function postEvents(url, events) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(events),
  });
  const told = answer.status === 202 ? {} : await answer.json().catch(() => ({}));
  return {
    status: answer.status,
    retryAfterMs: 1000 * Number(answer.headers.get("Retry-After") ?? 0),
    refused: told.refused ?? [],
  };
}

/** text/plain is what a beacon may say to another origin without asking first. */
function sendBeacon(url, lines) {
  navigator.sendBeacon(url, new Blob([lines], { type: "text/plain" }));
}
