/** The player page: who is signed in, and which view is shown. */

import { Api } from "./api.js";
import { element, fill } from "./dom.js";
import { recover } from "./playhead.js";
import { showBrowse } from "./views/browse.js";
import { showPin, showProfiles, showSignIn } from "./views/signin.js";
import { showDetail } from "./views/title.js";
import { showWatch } from "./views/watch.js";
import { explain } from "./words.js";

const PROFILE = "playhead.profile";
const PLAYER = "playhead.player";
const NOTICE_MS = 7000;

class Page {
  #api = new Api();
  #view = document.querySelector("#view");
  #told = null;
  #account = null;
  #profile = null;
  #watching = null;

  async start() {
    void recover();
    this.#told = await fetch("/page.json").then((answer) => answer.json());
    window.addEventListener("popstate", () => void this.#leaveWatching().then(() => this.#browse()));
    if (!this.#api.isRemembered) return this.#signIn();
    try {
      await this.#signedIn();
    } catch (error) {
      notify(explain(error), "bad");
      this.#signIn();
    }
  }

  #signIn() {
    this.#account = this.#profile = null;
    this.#drawBar();
    showSignIn(this.#view, {
      api: this.#api,
      settings: this.#told.settings,
      onSignedIn: () => this.#signedIn(),
      notify,
    });
  }

  async #signedIn() {
    this.#account = await this.#api.account();
    const remembered = sessionStorage.getItem(PROFILE);
    this.#profile = this.#account.profiles.find((each) => each.profile_id === remembered) ?? null;
    await (this.#profile === null ? this.#chooseProfile() : this.#browse());
  }

  #chooseProfile() {
    this.#profile = null;
    this.#drawBar();
    showProfiles(this.#view, {
      account: this.#account,
      onChosen: (profile) => {
        const onUnlocked = () => this.#become(profile);
        if (profile.pin_set_at_ms === null) return onUnlocked();
        showPin(this.#view, { api: this.#api, profile, onUnlocked, notify });
      },
    });
  }

  #become(profile) {
    this.#profile = profile;
    sessionStorage.setItem(PROFILE, profile.profile_id);
    void this.#browse();
  }

  async #browse() {
    this.#drawBar();
    await showBrowse(this.#view, {
      api: this.#api,
      profile: this.#profile,
      notify,
      onOpen: (title, item) =>
        showDetail(title, {
          item,
          api: this.#api,
          profile: this.#profile,
          onSaid: () => void this.#browse(),
          notify,
          player: this.#player,
          onPlayer: (name) => localStorage.setItem(PLAYER, name),
          onPlay: () => this.#watch(title),
        }),
    });
    window.scrollTo(0, 0);
  }

  #watch(title) {
    history.pushState({}, "", "#watch");
    this.#watching = showWatch(this.#view, {
      api: this.#api,
      profile: this.#profile,
      title,
      cdns: this.#told.cdns,
      player: this.#player,
      onPlayer: (name) => localStorage.setItem(PLAYER, name),
      onLeave: () => history.back(),
      notify,
    });
    window.scrollTo(0, 0);
  }

  async #leaveWatching() {
    const watching = this.#watching;
    this.#watching = null;
    await watching?.leave();
  }

  get #player() {
    return localStorage.getItem(PLAYER) ?? "shaka";
  }

  #drawBar() {
    const home = () => {
      if (this.#watching !== null) history.back();
      else if (this.#profile !== null) void this.#browse();
    };
    const brand = element(
      "button",
      { class: "brand", type: "button", on: { click: home } },
      element("img", { src: "/web/icon.svg", alt: "" }),
      "Playhead",
    );
    fill(document.querySelector("#bar"), brand, this.#account === null ? null : this.#whoIs());
  }

  #whoIs() {
    const away = (then) => async () => {
      await this.#leaveWatching();
      await then();
    };
    const action = (label, then) =>
      element("button", { class: "button plain", type: "button", on: { click: away(then) } }, label);
    return [
      element("span", { class: "push chip" }, `${this.#account.plan} · ${this.#account.subscription_state}`),
      this.#profile === null ? null : action(this.#profile.name, () => this.#chooseProfile()),
      action("Sign out", async () => {
        sessionStorage.removeItem(PROFILE);
        await this.#api.signOut().catch(() => {});
        this.#signIn();
      }),
    ];
  }
}

function notify(text, kind = "") {
  const notice = element("p", { class: `notice ${kind}` }, text);
  document.querySelector("#notices").append(notice);
  setTimeout(() => notice.remove(), NOTICE_MS);
}

void new Page().start();
