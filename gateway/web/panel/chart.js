/** Ceiling, rendition and throughput over time, on a scale where every rung has its line. */

import { drawing, fill } from "../dom.js";
import { rate } from "../words.js";

const SPAN_MS = 90_000;
const WIDTH_MIN = 300;
const HEIGHT = 250;
const LEFT = 52;
const RIGHT = 78;
const TOP = 16;
const BOTTOM = 26;
const TICK_MS = 30_000;

/** Draws samples `{at, ceilingKbps, renditionKbps, throughputKbps, isStalled}`, newest last. */
export class Chart {
  #samples = [];
  #plot = drawing("g");
  #frame = drawing("g");
  node = drawing(
    "svg",
    { class: "chart", role: "img", "aria-label": "Bitrate over time" },
    this.#frame,
    this.#plot,
  );

  add(sample) {
    this.#samples.push(sample);
    const oldest = sample.at - SPAN_MS;
    while (this.#samples.length > 2 && this.#samples[1].at < oldest) this.#samples.shift();
  }

  clear() {
    this.#samples = [];
  }

  /** The newest sample stands at the right edge. */
  draw(ladder, now) {
    if (ladder.length === 0) return;
    const width = Math.max(WIDTH_MIN, this.node.clientWidth);
    this.node.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const rates = ladder.map((rendition) => rendition.bitrateKbps);
    const scale = new Scale(width, Math.min(...rates) / 2, Math.max(...rates) * 2, now);
    fill(this.#frame, rungs(ladder, scale), ticks(scale, now));
    const steps = (name) => stepped(this.#samples, name, scale);
    fill(
      this.#plot,
      stalls(this.#samples, scale),
      area(this.#samples, scale),
      line("throughput", smooth(this.#samples, "throughputKbps", scale)),
      line("rendition", steps("renditionKbps")),
      line("ceiling", steps("ceilingKbps")),
    );
  }
}

class Scale {
  constructor(width, lowest, highest, now) {
    this.right = width - RIGHT;
    this.from = now - SPAN_MS;
    this.lowest = Math.log2(lowest);
    this.range = Math.log2(highest) - this.lowest;
  }

  x(at) {
    const share = Math.max(0, (at - this.from) / SPAN_MS);
    return round(LEFT + share * (this.right - LEFT));
  }

  /** What is above the scale lies on its upper edge. */
  y(kbps) {
    const share = Math.min(1, Math.max(0, (Math.log2(Math.max(kbps, 1)) - this.lowest) / this.range));
    return round(HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP));
  }
}

function rungs(ladder, scale) {
  return ladder.flatMap(({ height, bitrateKbps }) => {
    const y = scale.y(bitrateKbps);
    return [
      drawing("line", { class: "rung", x1: LEFT, x2: scale.right, y1: y, y2: y }),
      drawing("text", { x: LEFT - 10, y: y + 4, "text-anchor": "end" }, `${height}p`),
      drawing("text", { x: scale.right + 10, y: y + 4 }, rate(bitrateKbps)),
    ];
  });
}

function ticks(scale, now) {
  const marks = [];
  for (let ago = 0; ago <= SPAN_MS; ago += TICK_MS) {
    const label = ago === 0 ? "now" : `−${ago / 1000} s`;
    marks.push(drawing("text", { x: scale.x(now - ago), y: HEIGHT - 6, "text-anchor": "middle" }, label));
  }
  return marks;
}

/** A value holds until the next one. */
function stepped(samples, name, scale) {
  const points = [];
  let before = null;
  for (const sample of samples) {
    const value = sample[name];
    if (value === null) {
      before = null;
      continue;
    }
    const x = scale.x(sample.at);
    if (before === null) points.push(`M${x} ${scale.y(value)}`);
    else if (value !== before) points.push(`H${x}V${scale.y(value)}`);
    else points.push(`H${x}`);
    before = value;
  }
  return points.join("");
}

function smooth(samples, name, scale) {
  let pen = "M";
  return samples
    .filter((sample) => sample[name] !== null)
    .map((sample) => {
      const point = `${pen}${scale.x(sample.at)} ${scale.y(sample[name])}`;
      pen = "L";
      return point;
    })
    .join("");
}

function area(samples, scale) {
  const decided = samples.filter((sample) => sample.ceilingKbps !== null);
  if (decided.length < 2) return null;
  const path = stepped(decided, "ceilingKbps", scale);
  const d = `${path}V${HEIGHT - BOTTOM}H${scale.x(decided[0].at)}Z`;
  return drawing("path", { class: "under-ceiling", d });
}

function stalls(samples, scale) {
  return samples.slice(1).flatMap((sample, index) => {
    if (!sample.isStalled) return [];
    const [x1, x2] = [scale.x(samples[index].at), scale.x(sample.at)];
    return [drawing("rect", { class: "stall", x: x1, y: TOP, width: round(x2 - x1), height: HEIGHT - TOP - BOTTOM })];
  });
}

const line = (name, path) => (path ? drawing("path", { class: `line ${name}`, d: path }) : null);

const round = (value) => Math.round(value * 10) / 10;
