/** A title plays, with the live panel beside it. */

import { element, fill } from "../dom.js";
import { Panel } from "../panel/panel.js";
import { Run } from "../run.js";
import { explain, language } from "../words.js";
import { playerSwitch } from "./title.js";

/** Plays at once. `leave()` of what it returns ends the session. */
export function showWatch(view, given) {
  const watching = new Watching(given);
  fill(view, watching.node);
  void watching.play();
  return watching;
}

class Watching {
  #given;
  #playerName;
  #run = null;
  #starting = null;
  #hasLeft = false;
  #video = null;
  #screen = element("div", { class: "screen" });
  #message = element("div", { class: "message", role: "alert", hidden: true });
  #audio = trackSelect("Audio", (id) => this.#chooseAudio(id));
  #text = trackSelect("Subtitles", (id) => this.#chooseText(id));
  #panel;
  #onPageHide = () => this.#run?.leave();
  #onPageShow = (event) => {
    if (event.persisted) this.#given.onLeave();
  };

  constructor(given) {
    this.#given = given;
    this.#playerName = given.player;
    this.#panel = new Panel(given);
    const { title } = given;
    this.node = element(
      "div",
      { class: "watch" },
      element(
        "div",
        { class: "stage" },
        this.#screen,
        element(
          "div",
          { class: "under" },
          element("h1", {}, title.title),
          playerSwitch(this.#playerName, (name) => this.#switch(name)),
          this.#audio.node,
          this.#text.node,
          element(
            "button",
            { class: "button push", type: "button", data: { action: "stop" }, on: { click: () => given.onLeave() } },
            "Stop",
          ),
        ),
        this.#panel.chart,
        this.#panel.stored,
      ),
      this.#panel.node,
    );
    window.addEventListener("pagehide", this.#onPageHide);
    window.addEventListener("pageshow", this.#onPageShow);
  }

  /** Opens a session and plays; a refusal is told where the picture would be. */
  async play(atMs = null) {
    this.#message.hidden = true;
    // A new element each time: players leave their text tracks in the old one.
    const poster = this.#given.title.poster_url || null;
    this.#video = element("video", { controls: true, playsinline: true, poster });
    fill(this.#screen, this.#video, this.#message);
    this.#starting = this.#start(atMs);
    await this.#starting;
  }

  async leave() {
    this.#hasLeft = true;
    window.removeEventListener("pagehide", this.#onPageHide);
    window.removeEventListener("pageshow", this.#onPageShow);
    this.#panel.stop();
    await this.#starting;
    await this.#run?.end("aborted");
  }

  async #start(atMs) {
    const { api, profile, title, cdns } = this.#given;
    try {
      await Run.start({
        api,
        profile,
        title,
        cdns,
        atMs,
        video: this.#video,
        playerName: this.#playerName,
        hooks: {
          onOpened: (run) => {
            this.#run = run;
            this.#panel.follow(run);
          },
          onEnded: () => void this.#ended(),
          onFailed: (error) => this.#failed(error),
          onTracks: () => this.#showTracks(),
          onDecision: (decision) => this.#panel.decided(decision),
        },
      });
    } catch (error) {
      if (!this.#hasLeft) this.#failed(error);
    }
  }

  async #switch(name) {
    this.#playerName = name;
    this.#given.onPlayer(name);
    await this.#starting;
    const atMs = Math.round(this.#video.currentTime * 1000);
    await this.#run?.end("aborted");
    this.#run = null;
    await this.play(atMs);
  }

  async #ended() {
    await this.#run?.end("ended");
    this.#run = null;
    this.#panel.rest();
    this.#tell(
      "The end.",
      action("Watch again", () => this.play(0), "main"),
      action("Back to the page", () => this.#given.onLeave()),
    );
  }

  #failed(error) {
    this.#run = null;
    this.#panel.rest();
    const sessions = error.reason === "concurrent-streams" ? (error.facts.sessions ?? []) : [];
    this.#tell(
      explain(error),
      element("div", { class: "list" }, sessions.map((sessionId) => this.#stopOther(sessionId))),
      action("Try again", () => this.play(), sessions.length ? "" : "main"),
      action("Back to the page", () => this.#given.onLeave()),
    );
  }

  /** Another session of the account that holds a slot: it may be ended from here. */
  #stopOther(sessionId) {
    const startedAt = new Date(Number.parseInt(sessionId.replaceAll("-", "").slice(0, 12), 16));
    return action(`Stop the stream begun at ${startedAt.toLocaleTimeString()}`, async () => {
      await this.#given.api.endSession(sessionId).catch((error) => this.#given.notify(explain(error), "bad"));
      await this.play();
    }, "main");
  }

  #tell(text, ...actions) {
    fill(this.#message, element("h2", {}, text), actions);
    this.#message.hidden = false;
  }

  #chooseAudio(id) {
    this.#run?.tracks.chooseAudio(Number(id));
    this.#run?.observer.interacted("audio", id);
  }

  #chooseText(id) {
    this.#run?.tracks.chooseText(id === "" ? null : Number(id));
    this.#run?.observer.interacted("subtitles", id || "off");
  }

  #showTracks() {
    const tracks = this.#run?.tracks;
    if (!tracks) return;
    this.#audio.show(tracks.audioTracks());
    this.#text.show(tracks.textTracks(), "Off");
  }
}

const action = (label, onClick, tone = "") =>
  element("button", { class: `button ${tone}`, type: "button", on: { click: onClick } }, label);

/** Shown only where there is something to choose. */
function trackSelect(label, onChosen) {
  const select = element("select", { "aria-label": label, data: { tracks: label.toLowerCase() } });
  const node = element("label", { hidden: true }, label, select);
  select.addEventListener("change", () => onChosen(select.value));
  return {
    node,
    show(tracks, none = null) {
      node.hidden = tracks.length + (none === null ? 0 : 1) < 2;
      const options = tracks.map((track) => element("option", { value: track.id }, track.label || language(track.language)));
      fill(select, none === null ? null : element("option", { value: "" }, none), options);
      const active = tracks.find((track) => track.isActive);
      select.value = active === undefined ? "" : String(active.id);
    },
  };
}
