/** Tells the SDK what happens to a `<video>`, whichever player drives it. */

const JUMP_MS_MIN = 500;

/**
 * `facts()` gives `{cdn, bufferLengthMs}`; `rendition()` the one on the screen as
 * `{bitrateKbps, height}`, or null.
 */
export class Observer {
  #video;
  #reporter;
  #facts;
  #rendition;
  #abort = new AbortController();
  #beat = null;
  #hasFrame = false;
  #isWaiting = false;
  #isOver = false;
  #lastMs = 0;
  #bitrateKbps = null;
  #ofPlayer = false;

  constructor({ video, reporter, facts, rendition, heartbeatMs }) {
    this.#video = video;
    this.#reporter = reporter;
    this.#facts = facts;
    this.#rendition = rendition;
    this.#listen();
    this.#beat = setInterval(() => this.#heartbeat(), heartbeatMs);
  }

  /** Waiting for media after the first frame. */
  get isStalled() {
    return this.#hasFrame && this.#isWaiting;
  }

  /** The viewer asked for playback, a moment before there was a session to tell it of. */
  asked(atMs) {
    this.#reporter.report("play", {}, atMs);
  }

  /** Shaka stalls by a playback rate of 0, which the element does not call waiting. */
  playerBuffers(isBuffering) {
    this.#ofPlayer = true;
    this.#wait(isBuffering);
  }

  failed({ code, message, isFatal }) {
    this.#tell("error", { code: code.slice(0, 128), message: message.slice(0, 500), is_fatal: isFatal });
  }

  interacted(name, value) {
    this.#tell("interaction", { name, value });
  }

  /** The end: `ended` by itself, `aborted` by the viewer. Nothing is told after it. */
  stop(reason) {
    if (this.#isOver) return;
    this.#tell("stopped", { reason });
    this.close();
  }

  /** Nothing is told any more. */
  close() {
    this.#isOver = true;
    clearInterval(this.#beat);
    this.#abort.abort();
  }

  #listen() {
    const on = (name, listener) =>
      this.#video.addEventListener(name, listener, { signal: this.#abort.signal });
    on("play", () => {
      if (this.#hasFrame) this.#tell("play");
    });
    on("playing", () => this.#playing());
    on("pause", () => {
      if (this.#hasFrame && !this.#video.ended && !this.#video.seeking) this.#tell("pause");
    });
    on("seeking", () => this.#seek());
    on("seeked", () => {
      if (this.#hasFrame) this.#tell("seeked");
    });
    on("waiting", () => {
      if (!this.#ofPlayer) this.#wait(true);
    });
    on("timeupdate", () => {
      if (!this.#video.seeking) this.#lastMs = this.#playheadMs();
    });
    on("resize", () => this.#noteRendition());
  }

  #playing() {
    if (!this.#ofPlayer) this.#wait(false);
    this.#hasFrame = true;
    this.#bitrateKbps ??= this.#rendition()?.bitrateKbps ?? null;
    this.#tell("playing", this.#bitrate());
  }

  #wait(isWaiting) {
    if (isWaiting === this.#isWaiting || (isWaiting && this.#video.ended)) return;
    this.#isWaiting = isWaiting;
    if (this.#hasFrame) this.#tell(isWaiting ? "buffering" : "buffered");
  }

  /** A jump of the viewer; players step over small gaps by themselves. */
  #seek() {
    const toMs = this.#playheadMs();
    if (!this.#hasFrame || Math.abs(toMs - this.#lastMs) < JUMP_MS_MIN) return;
    this.#tell("seek", { from_ms: this.#lastMs, to_ms: toMs });
    this.#lastMs = toMs;
  }

  #noteRendition() {
    const now = this.#rendition();
    if (now === null || now.bitrateKbps === this.#bitrateKbps) return;
    const before = this.#bitrateKbps;
    this.#bitrateKbps = now.bitrateKbps;
    if (before === null || !this.#hasFrame) return;
    this.#tell("bitrate_changed", {
      bitrate_kbps: now.bitrateKbps,
      from_bitrate_kbps: before,
      height: now.height,
    });
  }

  #heartbeat() {
    this.#tell("heartbeat", { ...this.#bitrate(), buffer_length_ms: this.#facts().bufferLengthMs });
  }

  #bitrate() {
    return this.#bitrateKbps === null ? {} : { bitrate_kbps: this.#bitrateKbps };
  }

  #playheadMs() {
    return Math.round(this.#video.currentTime * 1000);
  }

  #tell(type, fields = {}) {
    if (this.#isOver) return;
    const cdn = this.#facts().cdn;
    this.#reporter.report(type, {
      playhead_ms: this.#playheadMs(),
      ...(cdn ? { cdn } : {}),
      ...fields,
    });
  }
}
