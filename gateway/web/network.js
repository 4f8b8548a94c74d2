/** What the browser itself measures of the segments, whichever player fetches them. */

const SEGMENT = /\.(m4s|mp4)(\?|$)/;

export class NetworkWatch {
  #cdns;
  #observer;
  /** The last segment: `{cdn, status, ms, kbps, at}`, or null. */
  last = null;
  /** Segments that failed. */
  failures = 0;

  /** `cdns` as /page.json has them; `onSegment` for each. */
  constructor(cdns, contentId, onSegment = () => {}) {
    this.#cdns = cdns.map((cdn) => ({ name: cdn.name, prefix: `${cdn.base_url}/${contentId}/` }));
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#note(entry, onSegment);
    });
    this.#observer.observe({ type: "resource" });
  }

  stop() {
    this.#observer.disconnect();
  }

  #note(entry, onSegment) {
    const cdn = this.#cdns.find(({ prefix }) => entry.name.startsWith(prefix));
    if (cdn === undefined || !SEGMENT.test(entry.name)) return;
    const status = entry.responseStatus ?? 200;
    if (status >= 400 || status === 0) {
      this.failures += 1;
      return;
    }
    const ms = entry.responseEnd - entry.requestStart;
    const kbps = entry.encodedBodySize > 0 && ms > 0 ? Math.round((entry.encodedBodySize * 8) / ms) : null;
    this.last = { cdn: cdn.name, status, ms: Math.round(ms), kbps, at: Date.now() };
    onSegment(this.last);
  }
}
