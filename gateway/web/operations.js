/** What operators do, each thing shown as a dry run before its button. */

import { send } from "./api.js";
import { element, fill, write } from "./dom.js";
import { askForToken, forget, isRefused, token, whyRefused } from "./operator.js";
import { card } from "./panel/card.js";
import { Plan } from "./plan.js";
import { table } from "./table.js";
import { explain, span } from "./words.js";

const LOOK_MS = 15_000;
const PATH = "/v1/admin/operations";
const TOPICS = ["playback.events.v1", "playback.bandwidth.v1", "session.summaries.v1", "license.decisions.v1", "sessions.v1", "bitrate.decisions.v1", "watches.v1", "license.requests.v1"];

const view = document.querySelector("#view");
const ready = document.querySelector("#ready");

const asked = (path, body) => send(body === undefined ? "GET" : "POST", path, body, { bearer: token() });
const run = (body) => asked(PATH, body);

class Operations {
  #doctor = element("table", { "aria-label": "Checks" });
  #lag = element("table", { "aria-label": "Lag" });
  #ledger = element("table", { "aria-label": "Ledger" });
  #letters = element("table", { "aria-label": "Dead letters" });
  #replays = element("table", { "aria-label": "Replays" });
  #letterPlan = new Plan(run, () => this.look());
  #replayPlan = new Plan(run, () => this.look());
  #backupPlan = new Plan(run, () => this.look());

  constructor() {
    const ledger = card("ledger", "Ledger, last hour", this.#ledger);
    const letters = card("letters", "Dead letters", this.#letters, this.#letterPlan.node);
    const replay = card("replay", "Replay", this.#replayForm(), this.#replayPlan.node, this.#replays);
    const doctor = card("doctor", "Checks", this.#doctor);
    const lag = card("lag", "Consumer lag", this.#lag);
    for (const wide of [ledger, letters, replay, doctor, lag]) wide.classList.add("wide");
    this.node = element(
      "div",
      { class: "console" },
      doctor,
      ledger,
      letters,
      replay,
      lag,
      card("backup", "Backup", this.#backup(), this.#backupPlan.node),
    );
  }

  /** Every report, one after the other: each is a process of its own on the gateway's machine. */
  async look() {
    const reports = [
      ["replays", (rows) => this.#showReplays(rows)],
      ["letters", (rows) => this.#showLetters(rows)],
      ["ledger", (rows) => this.#showLedger(rows)],
      ["lag", (rows) => this.#showLag(rows)],
      ["doctor", (rows) => this.#showDoctor(rows)],
    ];
    for (const [name, show] of reports) show((await asked(`${PATH}/${name}`)).said ?? []);
  }

  #showDoctor(findings) {
    const wrong = findings.filter((finding) => !finding.is_ok);
    write(ready, wrong.length ? `${wrong.length} to mend` : "sound");
    ready.className = `push chip ${wrong.length ? "bad" : "good"}`;
    const shown = [...wrong, ...findings.filter((finding) => ["canary", "ledger", "lag"].includes(finding.check) && finding.is_ok)];
    table(
      this.#doctor,
      ["check", "says", "mend"],
      shown.map(({ check, says, mend, is_ok: isOk }) => [
        { text: check, tone: isOk ? "good" : "bad" },
        { text: says, tone: "text" },
        { text: mend ?? "", tone: "text" },
      ]),
    );
  }

  #showLedger(lines) {
    const heads = ["accepted", "in_log", "stored", "duplicates", "conflicts", "dead_letters", "difference", "refused", "unavailable", "shed", "unauthenticated"];
    table(
      this.#ledger,
      ["minute", "topic", ...heads.map((name) => name.replace("_", " ")), "complete"],
      lines.slice(0, 40).map((line) => [
        line.minute.slice(11, 16),
        line.topic,
        ...heads.map((name) => (name === "difference" && line.difference > 0 && line.is_complete ? { text: line.difference, tone: "bad" } : line[name])),
        line.is_complete ? "yes" : "not yet",
      ]),
    );
  }

  #showLag(groups) {
    table(
      this.#lag,
      ["group", "topic", "messages", "time"],
      groups.map((lag) => [lag.consumer_group, lag.topic, lag.consumer_lag, lag.consumer_lag ? span(lag.consumer_lag_ms) : ""]),
    );
  }

  #showLetters(groups) {
    const plan = (name, { topic, reason, agent }) => () => void this.#letterPlan.show({ name, topic, reason, agent });
    table(
      this.#letters,
      ["topic", "agent", "reason", "letters", "oldest", "newest", ""],
      groups.map((group) => [
        group.topic,
        group.agent,
        group.reason,
        group.letters,
        group.oldest,
        group.newest,
        element(
          "div",
          { class: "row-buttons" },
          element("button", { class: "button", type: "button", on: { click: plan("redrive", group) } }, "Drive back…"),
          element("button", { class: "button", type: "button", on: { click: plan("drop", group) } }, "Drop…"),
        ),
      ]),
    );
  }

  #showReplays(jobs) {
    table(
      this.#replays,
      ["topic", "from", "to", "replaces", "state", "done", "of", "added", "rate", "left", "at"],
      jobs.slice(0, 10).map((job) => [job.topic, job.from, job.to, job.replaces, job.state, job.done, job.of, job.added, `${job.rate}/s`, job.left, job.at]),
    );
  }

  #replayForm() {
    const field = (name, label, placeholder, size) =>
      element("label", { class: "field" }, label, element("input", { name, placeholder, size, autocomplete: "off" }));
    const form = element(
      "form",
      { class: "options" },
      element("label", { class: "field" }, "Topic", element("select", { name: "topic" }, TOPICS.map((name) => element("option", {}, name)))),
      field("start", "From", "2h", 10),
      field("end", "To", "now", 10),
      element(
        "label",
        { class: "field" },
        "Into",
        element("select", { name: "to_group" }, element("option", { value: "analytics" }, "ClickHouse"), ...["license", "bitrate", "steering"].map((name) => element("option", { value: name }, `${name} rules, in shadow`))),
      ),
      field("replace", "Replace the period", "2026-11-22", 11),
      field("rate", "Records a second", "10000", 8),
      element("button", { class: "button", type: "submit" }, "Dry run"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { rate, ...given } = Object.fromEntries(new FormData(form));
      const told = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.trim()]));
      const warm = told.to_group === "analytics" ? {} : { warm_up: true };
      void this.#replayPlan.show({ name: "replay", ...told, ...warm, ...(rate.trim() ? { rate: Number(rate) } : {}) });
    });
    return form;
  }

  #backup() {
    return element(
      "div",
      {},
      element("p", { class: "quiet small" }, "Accounts, titles, wrapped keys, sessions, decisions and watches, into the home's folder. Secret keys: only by the command."),
      element("button", { class: "button", type: "button", on: { click: () => void this.#backupPlan.show({ name: "backup" }) } }, "Dry run"),
    );
  }
}

async function open() {
  const shown = new Operations();
  for (;;) {
    try {
      const looking = shown.look();
      if (!shown.node.isConnected) fill(view, shown.node);
      await looking;
    } catch (error) {
      if (isRefused(error)) {
        forget();
        askForToken(view, "Operations", open, whyRefused(error));
        return;
      }
      write(ready, explain(error));
      ready.className = "push chip bad";
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

if (token() === null) askForToken(view, "Operations", open);
else void open();
