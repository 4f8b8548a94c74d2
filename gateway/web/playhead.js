/**
 * Playback events from a browser to a Playhead gateway: none is lost, none counts twice.
 *
 *     const playhead = new Playhead(session);    // the answer of POST /v1/sessions
 *     const watching = playhead.attach(video);   // or a Shaka, dash.js or hls.js player
 *     watching.stop("aborted");
 *     await playhead.close();
 *
 * An event keeps its id and sequence, so what is sent twice is stored once. It leaves the queue,
 * which IndexedDB keeps, when the gateway says that it is durable or that it never will be.
 *
 * @typedef {{session_id: string, events_url: string, heartbeat_interval_ms?: number}} Session
 * @typedef {{index: number, status: number, reason: string}} Refused
 * @typedef {{bitrateKbps: number, height?: number} | null} Rendition
 * @typedef {{onRefused?: (line: string, why: Refused) => void, eventsMax?: number, answerMs?: number}} Options
 * @typedef {object} Watch
 * @property {HTMLVideoElement} [video] Where the player has none yet.
 * @property {number} [askedAtMs] When the viewer asked for playback, if before.
 * @property {() => Rendition} [rendition] On the screen. Who tells it calls `failed` and `waits` too.
 * @property {() => string | undefined} [cdn] Which delivers now.
 */

const BATCH_EVENTS_MAX = 100;
const BEACON_CHARS_MAX = 50_000; // a page may leave 64 KiB behind
const GZIP_CHARS_MIN = 512;
const GATHER_MS = 150;
const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 30_000;
const UNAUTHORIZED_MS = 60_000;
const RETRY_AFTER_MS_MAX = 600_000;
const KEPT_MS = 7 * 86_400_000; // the gateway takes events no longer
const KEPT_EVENTS_MAX = 20_000;
const JUMP_MS_MIN = 500;
const GIVE_WAY = ["heartbeat", "bandwidth"];

export class Playhead {
  #queue = new Map();
  #cut;
  #timer;
  #sending;
  #waitMs = 0;
  #sequence = 0;
  #left = -1;
  #failures = 0;
  #batchMax = BATCH_EVENTS_MAX;
  #isPlain = !globalThis.CompressionStream;
  #isClosed = false;
  #abort = new AbortController();
  #unlock = () => {};

  /** Durable events; those that are never taken; those given up for want of room. */
  accepted = 0;
  refused = 0;
  dropped = 0;

  /**
   * @param {Session} session
   * @param {Options} [options]
   * @param {any[]} [kept] Of an earlier page.
   */
  constructor(session, options, kept = []) {
    this.session = session;
    this.options = { eventsMax: 2000, answerMs: 15_000, ...options };
    /** To be replaced when the session's token is. */
    this.eventsUrl = session.events_url;
    this.source = kept[0]?.source ?? `web-${uuid7()}`;
    for (const row of kept) this.#queue.set(row.sequence, row);
    if (kept[0]) return;
    navigator.locks.request(this.source, () => new Promise((done) => (this.#unlock = () => done(0))));
    const { signal } = this.#abort;
    addEventListener("visibilitychange", () => isHidden() && this.leave(), { signal });
    addEventListener("pagehide", () => this.leave(), { signal });
    addEventListener("online", () => this.flush(), { signal });
  }

  /** How many events wait for the gateway. */
  get pending() {
    return this.#queue.size;
  }

  /**
   * Takes an event with the fields of its type.
   * @param {string} type
   * @param {object} [fields]
   */
  report(type, fields, atMs = Date.now()) {
    if (this.#isClosed) return;
    if (this.#queue.size >= this.options.eventsMax) {
      this.dropped += 1;
      const spare = [...this.#queue.values()].find((row) => GIVE_WAY.includes(row.type));
      if (!spare || GIVE_WAY.includes(type)) return;
      this.#remove([spare.sequence]);
    }
    const { source, eventsUrl: url, session: { session_id } } = this;
    const sequence = this.#sequence++;
    const at = new Date(atMs).toISOString();
    const event = { id: uuid7(atMs), type, session_id, source, sequence, at, ...fields };
    const row = { source, sequence, url, at: atMs, type, line: JSON.stringify(event) };
    this.#queue.set(sequence, row);
    store("readwrite", (events) => events.put(row));
    if (isHidden() && !this.#failures) this.leave();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  /** Sends until nothing waits, or until the gateway takes nothing now. */
  async flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#send().finally(() => (this.#sending = undefined));
    await this.#sending;
  }

  /** Takes no more; resolves when nothing waits any more, however long that takes. */
  async close() {
    this.#isClosed = true;
    for (await this.flush(); this.pending; await this.flush()) {
      await new Promise((resolve) => setTimeout(resolve, this.#waitMs));
    }
    this.#abort.abort();
    this.#unlock();
  }

  /** Hands what waits to the browser, as the page may go away; it stays until answered. */
  leave() {
    let size = 0;
    const batch = [...this.#queue.values()]
      .filter((row) => row.sequence > this.#left && (size += row.line.length) < BEACON_CHARS_MAX)
      .map((row) => row.sequence);
    if (!batch.length) return;
    this.#left = batch[batch.length - 1];
    // Plain text asks for no preflight, for which there is no time.
    this.#post(this.#body(batch), { "Content-Type": "text/plain" }, true).then((answer) => {
      if (!this.#settle(batch, answer)) this.#left = -1;
    });
  }

  /**
   * Tells what happens to a video, whichever player drives it.
   * @param {any} target A media element, or a Shaka, dash.js or hls.js player.
   * @param {Watch} [watch]
   */
  attach(target, watch = {}) {
    return new Watching(this, target, watch);
  }

  async #send() {
    while (this.pending) {
      const cut = this.#cut?.filter((sequence) => this.#queue.has(sequence));
      const batch = cut?.length ? cut : [...this.#queue.keys()].slice(0, this.#batchMax);
      const text = this.#body(batch);
      const isPlain = this.#isPlain || text.length < GZIP_CHARS_MIN;
      const gzip = isPlain ? null : new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
      const body = gzip ? await new Response(gzip).arrayBuffer() : text;
      const headers = { "Content-Type": "application/x-ndjson", ...(gzip && { "Content-Encoding": "gzip" }) };
      if (!this.#settle(batch, await this.#post(body, headers), isPlain)) return;
    }
  }

  #body(batch) {
    const lines = batch.flatMap((sequence) => this.#queue.get(sequence)?.line ?? []);
    return [`{"count":${lines.length}}`, ...lines].join("\n");
  }

  async #post(body, headers, keepalive = false) {
    const signal = AbortSignal.timeout(this.options.answerMs);
    const request = { method: "POST", headers, body, keepalive, signal };
    try {
      const answer = await fetch(this.eventsUrl, { ...request, credentials: "omit" });
      const after = answer.headers.get("Retry-After") ?? "";
      const afterMs = Number(after) * 1000 || Date.parse(after) - Date.now() || 0;
      return { status: answer.status, afterMs, told: await answer.json().catch(() => ({})) };
    } catch {
      return { status: 0, afterMs: 0, told: {} };
    }
  }

  /**
   * Whether to go on at once. Without a clear word about every event they may be stored, and go
   * again as they are; only what is said not to be stored is cut anew.
   */
  #settle(batch, { status, afterMs, told }, isPlain = true) {
    this.#cut = undefined;
    const { accepted = 0, refused = [], reason, outcome } = told ?? {};
    const isWord = accepted ? status === 202 || status === 207 : status >= 400 && status < 500;
    if (isWord && accepted + refused.length === batch.length) {
      this.#failures = 0;
      this.#batchMax = BATCH_EVENTS_MAX;
      return !this.#decide(batch, accepted, refused) || this.#later(0);
    }
    if (status === 401 || status === 403) return this.#later(UNAUTHORIZED_MS);
    const isDamaged = status === 415 || /^(encoding|truncated)$/.test(reason);
    if (isDamaged && !isPlain) return (this.#isPlain = true);
    if (status === 413 || (status === 400 && reason && !isDamaged && reason !== "count")) {
      if (!batch[1]) this.#decide(batch, 0, [{ index: 0, status, reason }]);
      this.#batchMax = Math.max(1, batch.length >> 1);
      return true;
    }
    if (outcome !== "not_stored" && status !== 408 && status !== 429) this.#cut = batch;
    return this.#later(afterMs);
  }

  /** Whether some are to be sent again. */
  #decide(batch, accepted, refused) {
    const again = new Set();
    for (const why of refused) {
      const sequence = batch[why.index];
      if (why.status === 408 || why.status === 429 || why.status >= 500) again.add(sequence);
      else {
        this.refused += 1;
        this.options.onRefused?.(this.#queue.get(sequence)?.line ?? "", why);
      }
    }
    this.accepted += accepted;
    this.#remove(batch.filter((sequence) => !again.has(sequence)));
    return again.size > 0;
  }

  #remove(sequences) {
    for (const sequence of sequences) this.#queue.delete(sequence);
    store("readwrite", (events) => {
      for (const sequence of sequences) events.delete([this.source, sequence]);
    });
  }

  /** Twice as long each time, and never all pages at once. */
  #later(leastMs) {
    const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.#failures++);
    const askedMs = Math.min(RETRY_AFTER_MS_MAX, leastMs);
    this.#waitMs = Math.max(backoffMs, askedMs) * (1 + Math.random() / 4);
    clearTimeout(this.#timer); // of an event that came meanwhile
    this.#timer = setTimeout(() => this.flush(), this.#waitMs);
    return false;
  }
}

const isHidden = () => document.visibilityState === "hidden";

/** Sends what earlier pages left; resolves when that is done. Open tabs keep theirs. */
export async function recover() {
  const keys = (await store("readonly", (events) => events.getAllKeys())) ?? [];
  const surplus = keys.length - KEPT_EVENTS_MAX;
  const sources = new Map(keys.map(([source], index) => [source, index < surplus]));
  await Promise.all([...sources].map(async ([source, isSurplus]) => {
    const range = IDBKeyRange.bound([source], [source, []]);
    const send = async () => {
      const rows = (await store("readonly", (events) => events.getAll(range))) ?? [];
      const { at = 0, url: events_url = "" } = rows[rows.length - 1] ?? {};
      if (isSurplus || at < Date.now() - KEPT_MS) await store("readwrite", (e) => e.delete(range));
      else await new Playhead({ session_id: "", events_url }, {}, rows).close();
    };
    await navigator.locks.request(source, { ifAvailable: true }, (lock) => lock && send());
  }));
}

let opened;

/** One transaction, where the browser keeps anything. */
async function store(mode, work) {
  opened ??= new Promise((resolve) => {
    const opening = indexedDB.open("playhead", 1);
    opening.onupgradeneeded = () =>
      opening.result.createObjectStore("events", { keyPath: ["source", "sequence"] });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => resolve(null);
  });
  const transaction = (await opened.catch(() => null))?.transaction("events", mode);
  return transaction && new Promise((resolve) => {
    const request = work(transaction.objectStore("events"));
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onabort = () => resolve(undefined);
    transaction.commit();
  });
}

/** A UUIDv7: sorts by time. */
export function uuid7(nowMs = Date.now()) {
  const time = nowMs.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7${crypto.randomUUID().slice(15)}`;
}

/** A video's life as events, from `Playhead.attach` to `stop`. */
class Watching {
  #abort = new AbortController();
  #hasFrame = false;
  #isWaiting = false;
  #isStopped = false;
  #isTold = false;
  #lastMs = 0;
  #kbps;

  /**
   * @param {Playhead} playhead
   * @param {any} target
   * @param {Watch} watch
   */
  constructor(playhead, target, watch) {
    this.playhead = playhead;
    this.watch = { ...playerOf(target, this, () => this.#noteRendition()), ...watch };
    const { video } = this.watch;
    const { signal } = this.#abort;
    const on = (name, listener) => video.addEventListener(name, listener, { signal });
    let wasAsked = watch.askedAtMs !== undefined || !video.paused;
    if (wasAsked) playhead.report("play", {}, watch.askedAtMs);
    on("play", () => {
      if (this.#hasFrame || !wasAsked) this.#tell("play");
      wasAsked = true;
    });
    on("playing", () => {
      this.#wait(false);
      this.#hasFrame = true;
      this.#isStopped = false;
      this.#kbps ??= this.watch.rendition()?.bitrateKbps;
      this.#tell("playing", { bitrate_kbps: this.#kbps });
    });
    on("pause", () => video.ended || video.seeking || this.#tellShown("pause"));
    on("seeking", () => {
      const from_ms = this.#lastMs;
      const to_ms = this.#ms;
      if (Math.abs(to_ms - from_ms) < JUMP_MS_MIN) return; // players step over gaps by themselves
      this.#tellShown("seek", { from_ms, to_ms });
      this.#lastMs = to_ms;
    });
    on("seeked", () => this.#tellShown("seeked"));
    on("waiting", () => this.#wait(true));
    on("timeupdate", () => video.seeking || (this.#lastMs = this.#ms));
    on("resize", () => this.#noteRendition());
    on("ended", () => this.#stopped("ended"));
    on("error", () => {
      if (target === video && !watch.rendition) this.failed({ code: `media ${video.error?.code}` });
    });
    const beat = setInterval(() => this.#beat(), playhead.session.heartbeat_interval_ms ?? 10_000);
    signal.addEventListener("abort", () => clearInterval(beat));
    addEventListener("pagehide", (event) => event.persisted || this.stop("aborted"), { signal });
  }

  /** Waiting for media after the first frame. */
  get isStalled() {
    return this.#hasFrame && this.#isWaiting;
  }

  /** @param {{code: string, message?: string, isFatal?: boolean}} failure */
  failed({ code, message = "", isFatal: is_fatal = true }) {
    this.#tell("error", { code: code.slice(0, 128), message: message.slice(0, 500), is_fatal });
  }

  /**
   * Any other thing that the viewer did.
   * @param {string} name
   * @param {string} value
   */
  interacted(name, value) {
    this.#tell("interaction", { name, value });
  }

  /** @param {boolean} isWaiting For media: from now on the element is not asked. */
  waits(isWaiting) {
    this.#isTold = false;
    this.#wait(isWaiting);
    this.#isTold = true;
  }

  #wait(isWaiting) {
    if (this.#isTold || isWaiting === this.#isWaiting || (isWaiting && this.watch.video.ended)) return;
    this.#isWaiting = isWaiting;
    this.#tellShown(isWaiting ? "buffering" : "buffered");
  }

  /** @param {"ended" | "aborted"} [reason] By itself or by the viewer; else nothing is told. */
  stop(reason) {
    if (reason) this.#stopped(reason);
    this.#abort.abort();
  }

  #stopped(reason) {
    if (!this.#isStopped) this.#tell("stopped", { reason });
    this.#isStopped = true;
  }

  #beat() {
    if (this.#isStopped) return;
    const buffer_length_ms = bufferLengthMs(this.watch.video);
    this.#tell("heartbeat", { bitrate_kbps: this.#kbps, buffer_length_ms });
  }

  #noteRendition() {
    const { bitrateKbps: bitrate_kbps, height } = this.watch.rendition() ?? {};
    const from_bitrate_kbps = this.#kbps;
    if (!bitrate_kbps || bitrate_kbps === from_bitrate_kbps) return;
    this.#kbps = bitrate_kbps;
    if (from_bitrate_kbps) this.#tellShown("bitrate_changed", { bitrate_kbps, from_bitrate_kbps, height });
  }

  get #ms() {
    return Math.round(this.watch.video.currentTime * 1000);
  }

  #tellShown(type, fields = {}) {
    if (this.#hasFrame) this.#tell(type, fields);
  }

  #tell(type, fields = {}) {
    if (this.#abort.signal.aborted) return;
    this.playhead.report(type, { playhead_ms: this.#ms, cdn: this.watch.cdn?.(), ...fields });
  }
}

/** @param {HTMLMediaElement} video How much media there is ahead of its playhead. */
export function bufferLengthMs({ buffered, currentTime }) {
  for (let index = 0; index < buffered.length; index += 1) {
    const end = buffered.end(index);
    if (buffered.start(index) <= currentTime + 0.1 && currentTime <= end) {
      return Math.round((end - currentTime) * 1000);
    }
  }
  return 0;
}

/** The players behind one face. */
function playerOf(player, watching, changed) {
  const on = (player.on ?? player.addEventListener).bind(player);
  const failed = (code, isFatal, message) => watching.failed({ code, isFatal, message });
  const asRendition = (found) =>
    found ? { bitrateKbps: Math.round((found.bitrate ?? found.bandwidth) / 1000), height: found.height } : null;
  if (player.getVariantTracks) {
    on("error", ({ detail }) => failed(`shaka ${detail.code}`, detail.severity !== 1));
    on("buffering", ({ buffering }) => watching.waits(buffering)); // no element calls rate 0 waiting
    on("adaptation", changed);
    return {
      video: player.getMediaElement(),
      rendition: () => asRendition(player.getVariantTracks().find(({ active = false }) => active)),
    };
  }
  if (player.getVideoElement) {
    on("error", ({ error: { code, message } }) =>
      failed(`dashjs ${code}`, [10, 25, 31].includes(code) || (code > 99 && code < 120), message));
    on("qualityChangeRendered", changed);
    return {
      video: player.getVideoElement(),
      rendition: () => asRendition(player.getCurrentRepresentationForType("video")),
    };
  }
  if (player.levels) {
    on("hlsError", (_, { details, fatal }) => failed(`hlsjs ${details}`, fatal));
    on("hlsLevelSwitched", changed);
    return {
      video: player.media,
      rendition: () => asRendition(player.levels[player.currentLevel]),
    };
  }
  return { video: player, rendition: () => null };
}
