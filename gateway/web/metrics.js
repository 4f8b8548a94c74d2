/** Prometheus' text format, as far as the console needs it. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export function readMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (found === null) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) labels[name] = value;
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return {
    /** The samples of a name together, those whose labels `accept` takes. */
    sum: (name, accept = () => true) =>
      samples
        .filter((sample) => sample.name === name && accept(sample.labels))
        .reduce((total, sample) => total + sample.value, 0),
  };
}
