/** Who watches: sign-in, the choice of a profile, and its PIN. */

import { element, fill } from "../dom.js";
import { explain } from "../words.js";

/** Calls `onSignedIn` when the gateway has accepted the credentials. */
export function showSignIn(view, { api, settings, onSignedIn, notify }) {
  const email = input("email", "email", "username", settings.demo_email);
  const password = input("password", "password", "current-password", settings.demo_password);
  const submit = element("button", { class: "button main", type: "submit" }, "Sign in");
  const form = element(
    "form",
    { class: "card sign-in" },
    element("h1", {}, "Playhead"),
    element("p", { class: "quiet" }, "What happens between Play and the picture."),
    element("label", { class: "field" }, "Address", email),
    element("label", { class: "field" }, "Password", password),
    submit,
    settings.demo_email
      ? element("p", { class: "quiet small" }, "The demo viewer of this machine is filled in.")
      : null,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      await api.signIn(email.value, password.value);
      await onSignedIn();
    } catch (error) {
      notify(error.status === 401 || error.status === 400 ? "Address or password is wrong." : explain(error), "bad");
    } finally {
      submit.disabled = false;
    }
  });
  fill(view, form);
  (settings.demo_email ? submit : email).focus();
}

export function showProfiles(view, { account, onChosen }) {
  const faces = account.profiles.map((profile) =>
    element(
      "button",
      { class: "profile", type: "button", data: { profile: profile.name }, on: { click: () => onChosen(profile) } },
      element("span", { class: "face", "aria-hidden": "true" }, profile.name.slice(0, 1).toUpperCase()),
      element("span", {}, profile.name),
      element("span", { class: "quiet small" }, profile.maturity >= 18 ? "Everything" : `Up to ${profile.maturity} years`),
    ),
  );
  fill(
    view,
    element("div", { class: "center" }, element("h1", {}, "Who watches?"), element("div", { class: "profiles" }, faces)),
  );
}

/** Calls `onUnlocked` when the gateway has accepted the profile's PIN. */
export function showPin(view, { api, profile, onUnlocked, notify }) {
  const pin = input("pin", "password", "off");
  pin.inputMode = "numeric";
  pin.pattern = "[0-9]{4,8}";
  const form = element(
    "form",
    { class: "card sign-in" },
    element("h1", {}, profile.name),
    element("label", { class: "field" }, "PIN", pin),
    element("button", { class: "button main", type: "submit" }, "Go on"),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await api.unlock(profile.profile_id, pin.value);
      onUnlocked();
    } catch (error) {
      pin.value = "";
      notify(explain(error), "bad");
    }
  });
  fill(view, form);
  pin.focus();
}

function input(name, type, autocomplete, value = "") {
  const made = element("input", { name, type, autocomplete, required: true });
  made.value = value;
  return made;
}
