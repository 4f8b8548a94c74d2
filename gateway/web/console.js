/** The operator's console: the gateway that serves it, and the last hour as analytics has it. */

import { send } from "./api.js";
import { element, fill, write } from "./dom.js";
import { readMetrics } from "./metrics.js";
import { askForToken, forget, isRefused, token, whyRefused } from "./operator.js";
import { card, figures } from "./panel/card.js";
import { table } from "./table.js";
import { explain, rate, span, spoken, timeOfDay } from "./words.js";

const LOOK_MS = 3000;

const view = document.querySelector("#view");
const ready = document.querySelector("#ready");

async function open() {
  const shown = new Overview();
  for (;;) {
    try {
      shown.show(await send("GET", "/v1/admin/overview", undefined, { bearer: token() }));
      shown.showGateway(readMetrics(await fetch("/metrics").then((answer) => answer.text())));
      if (!shown.node.isConnected) fill(view, shown.node);
    } catch (error) {
      if (isRefused(error)) {
        forget();
        askForToken(view, "Console", open, whyRefused(error));
        return;
      }
      write(ready, explain(error));
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

class Overview {
  #plays = figures({ running: "Playing now", sessions: "Sessions", failed: "Failed", p50: "Start p50", p95: "Start p95", stalled: "Stalled time" });
  #gateway = figures({ requests: "Requests", errors: "5xx", license: "License", lag: "Loop lag", held: "Bodies held", waiting: "Queued" });
  #decisions = element("table");
  #steering = element("table");
  #why = element("p", { class: "quiet small" }, "No decision yet.");
  #topics = element("table");

  constructor() {
    const topics = card("ledger", "Ledger, last hour", this.#topics);
    topics.classList.add("wide");
    this.node = element(
      "div",
      { class: "console" },
      card("plays", "Playback, last hour", this.#plays.node),
      card("gateway", "This gateway", this.#gateway.node),
      card("decisions", "License decisions, last hour", this.#decisions),
      card("steering", "CDN order", this.#steering, this.#why),
      topics,
    );
  }

  show({ stored, steering }) {
    const { plays } = stored;
    this.#plays.set({
      running: String(plays.running_count),
      sessions: String(plays.session_count),
      failed: String(plays.failed_count),
      p50: duration(plays.time_to_first_frame_p50_ms),
      p95: duration(plays.time_to_first_frame_p95_ms),
      stalled: plays.rebuffer_ratio === null ? "–" : `${(100 * plays.rebuffer_ratio).toFixed(2)} %`,
    });
    table(this.#decisions, ["outcome", "reason", "count"], stored.decisions.map((each) => [each.outcome, spoken(each.reason), each.count]));
    table(this.#topics, ["topic", "accepted", "stored", "re-sent", "conflicts", "refused", "unavailable", "shed", "dead letters", "complete until"], stored.topics.map(topicLine));
    if (steering !== null) this.#showSteering(steering);
  }

  showGateway(metrics) {
    const requests = metrics.sum("playhead_http_requests_total");
    const errors = metrics.sum("playhead_http_requests_total", ({ status }) => status.startsWith("5"));
    const ofLicense = ({ route }) => route === "postLicense";
    const licenses = metrics.sum("playhead_http_request_duration_seconds_count", ofLicense);
    const seconds = metrics.sum("playhead_http_request_duration_seconds_sum", ofLicense);
    this.#gateway.set({
      requests: String(requests),
      errors: String(errors),
      license: licenses ? span((1000 * seconds) / licenses) : "–",
      lag: span(1000 * metrics.sum("playhead_loop_lag_seconds")),
      held: `${Math.round(metrics.sum("playhead_held_bytes") / 1024)} KiB`,
      waiting: `${Math.round(metrics.sum("playhead_unacknowledged_bytes") / 1024)} KiB`,
    });
    const isReady = metrics.sum("playhead_ready") === 1;
    write(ready, isReady ? "ready" : "not ready");
    ready.className = `push chip ${isReady ? "good" : "bad"}`;
  }

  #showSteering({ order, facts, reason, decided_at_ms: atMs }) {
    const measured = new Map(facts.map((fact) => [fact.cdn, fact]));
    table(
      this.#steering,
      ["CDN", "requests", "errors", "throughput", "state"],
      order.map((cdn) => {
        const fact = measured.get(cdn) ?? {};
        return [cdn, fact.requests ?? 0, fact.errors ?? 0, rate(fact.throughput_kbps), fact.is_down ? "down" : "up"];
      }),
    );
    write(this.#why, `${timeOfDay(atMs)} · ${spoken(reason)}`);
  }
}

function topicLine(topic) {
  return [
    topic.topic, topic.accepted, topic.stored, topic.duplicates, topic.conflicts, topic.refused,
    topic.unavailable, topic.shed, topic.dead_letters,
    topic.complete_until_ms === null ? "–" : timeOfDay(topic.complete_until_ms).slice(0, 8),
  ];
}

const duration = (ms) => (ms === null ? "–" : span(ms));

if (token() === null) askForToken(view, "Console", open);
else void open();
