/**
 * One run of one title: its session, its player, and the SDK that tells of it.
 *
 * Everything that may be shown beside the video is read from here; nothing here draws.
 */

import { ProblemError, platform } from "./api.js";
import { NetworkWatch } from "./network.js";
import { Playhead, bufferLengthMs, uuid7 } from "./playhead.js";
import { PLAYERS, createPlayer } from "./players/player.js";
import { PlayerError } from "./players/playback.js";

const DEVICE = "playhead.device";

export class Run {
  #api;
  #video;
  #hooks;
  #player = null;
  #stream = null;
  #isOver = false;
  #ladder = [];
  #onEnded = () => this.#hooks.onEnded();

  /** The bitrate decision now, as GET bitrate has it; null before the first. */
  decision = null;

  /**
   * Opens a session and begins to play; raises ProblemError where it is refused, PlayerError where
   * the player cannot begin. `hooks`: onOpened(run), onEnded, onFailed(error),
   * onTracks, onDecision(decision). `bufferS`: seconds ahead, if not the players' own here.
   */
  static async start({ api, video, profile, title, playerName, cdns, atMs = null, bufferS, hooks }) {
    const askedAtMs = Date.now();
    const session = await api.openSession({
      content_id: title.content_id,
      profile_id: profile.profile_id,
      device: device(playerName),
    });
    const run = new Run({ api, video, title, cdns, session, hooks, askedAtMs });
    hooks.onOpened(run);
    try {
      await run.#play(playerName, atMs ?? session.resume_playhead_ms ?? 0, bufferS);
    } catch (error) {
      await run.#fail(error);
      throw error;
    }
    return run;
  }

  constructor({ api, video, title, cdns, session, hooks, askedAtMs }) {
    this.#api = api;
    this.#video = video;
    this.#hooks = hooks;
    this.title = title;
    this.session = session;
    this.network = new NetworkWatch(cdns, title.content_id);
    this.reporter = new Playhead(session);
    this.observer = this.reporter.attach(video, {
      askedAtMs,
      rendition: () => this.playing(),
      cdn: () => this.network.last?.cdn,
    });
    video.addEventListener("ended", this.#onEnded);
    this.#followDecisions();
  }

  async #play(playerName, atMs, bufferS) {
    this.#player = await createPlayer(playerName, {
      video: this.#video,
      session: this.session,
      contentId: this.title.content_id,
      bufferS,
      onError: (error) => void this.#onError(error),
      onBuffering: (isBuffering) => this.observer.waits(isBuffering),
      onTracks: () => this.#hooks.onTracks(),
    });
    await this.#player.load(atMs / 1000);
    this.#hooks.onTracks();
    // Where the browser wants a gesture first, the viewer presses the element's own button.
    this.#video.play().catch(() => {});
  }

  /** The whole ladder as far as it was seen: steering may hide its upper end from hls.js. */
  ladder() {
    const now = this.#player?.ladder() ?? [];
    if (now.length >= this.#ladder.length) this.#ladder = now;
    return this.#ladder;
  }

  /** What is on the screen, by the height of its picture; null before the first frame. */
  playing() {
    const height = this.#video.videoHeight;
    return this.ladder().find((rendition) => rendition.height === height) ?? null;
  }

  get throughputKbps() {
    return this.#player?.throughputKbps() ?? null;
  }

  get bufferLengthMs() {
    return bufferLengthMs(this.#video);
  }

  get isStalled() {
    return this.observer.isStalled;
  }

  get tracks() {
    return this.#player;
  }

  /** Ends playback and frees the session's slot. */
  async end(reason) {
    if (this.#isOver) return;
    this.#close(reason);
    const player = this.#player;
    this.#player = null;
    await this.reporter.flush();
    void this.reporter.close();
    await Promise.allSettled([
      player?.destroy(),
      this.#api.endSession(this.session.session_id),
    ]);
  }

  /** The same for a page that is going away: nothing can be waited for. */
  leave() {
    if (this.#isOver) return;
    this.#close("aborted");
    this.reporter.leave();
    this.#api.endSession(this.session.session_id, { keepalive: true }).catch(() => {});
  }

  #close(reason) {
    this.#isOver = true;
    this.observer.stop(reason === "failed" ? undefined : reason);
    this.#stream?.close();
    this.network.stop();
    this.#video.removeEventListener("ended", this.#onEnded);
  }

  async #onError(error) {
    if (this.#isOver) return;
    if (!error.isFatal) {
      this.observer.failed(error);
      return;
    }
    await this.#fail(error);
    this.#hooks.onFailed(error);
  }

  /** The session was ended from elsewhere: the player would go on until its buffer is empty. */
  async #refused(error) {
    if (this.#isOver) return;
    await this.end("aborted");
    this.#hooks.onFailed(error);
  }

  async #fail(error) {
    if (this.#isOver) return;
    const told = error instanceof PlayerError ? error : new PlayerError("page", error.message);
    this.observer.failed(told);
    await this.end("failed");
  }

  /** The browser asks again by itself where the stream breaks. */
  #followDecisions() {
    this.#stream = new EventSource(this.session.bitrate_url);
    this.#stream.addEventListener("bitrate", (event) => {
      const decision = JSON.parse(event.data);
      if (decision.decided_at_ms === null) return;
      this.decision = decision;
      this.#hooks.onDecision(decision);
    });
    this.#stream.addEventListener("ended", (event) => {
      const problem = JSON.parse(event.data);
      void this.#refused(new ProblemError(problem.status, problem));
    });
  }
}

function device(playerName) {
  let deviceId = localStorage.getItem(DEVICE);
  if (deviceId === null) {
    deviceId = uuid7();
    localStorage.setItem(DEVICE, deviceId);
  }
  const { label } = PLAYERS.find((player) => player.name === playerName);
  return { device_id: deviceId, model: "browser", os: platform(), player: label };
}
