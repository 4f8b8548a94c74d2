/** The gateway's API as a signed-in viewer uses it. Tokens are kept for this tab alone. */

const STORED_AS = "playhead.refresh";
const UNLOCKED_AS = "playhead.unlocked";
const TRIES_MAX = 4;

/** What the gateway refused, in its own words (RFC 9457). */
export class ProblemError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.name = "ProblemError";
    this.status = status;
    this.reason = problem.reason ?? "";
    this.facts = problem.facts ?? {};
  }
}

/** The system that the page runs on, as the browser says. */
export const platform = () => navigator.userAgentData?.platform || navigator.platform || "";

export class Api {
  #access = null;
  #refreshing = null;

  /** Whether a sign-in of this tab can be gone on with. */
  get isRemembered() {
    return sessionStorage.getItem(STORED_AS) !== null;
  }

  async signIn(email, password) {
    await this.#takeTokens({ grant_type: "password", username: email, password });
  }

  /** Raises ProblemError where the remembered sign-in no longer counts. */
  async resume() {
    this.#refreshing ??= this.#takeTokens({
      grant_type: "refresh_token",
      refresh_token: sessionStorage.getItem(STORED_AS) ?? "",
    }).finally(() => {
      this.#refreshing = null;
    });
    await this.#refreshing;
  }

  async signOut() {
    try {
      await this.#signed("DELETE", "/v1/tokens");
    } finally {
      this.forget();
    }
  }

  /** Forgets the tokens without telling anybody. */
  forget() {
    this.#access = null;
    sessionStorage.removeItem(STORED_AS);
    sessionStorage.removeItem(UNLOCKED_AS);
  }

  account = () => this.#signed("GET", "/v1/account");

  /** Says a profile's PIN; sessions are opened with the proof of it from then on. */
  async unlock(profileId, pin) {
    const path = `/v1/profiles/${encodeURIComponent(profileId)}/unlock`;
    const unlocked = await this.#signed("POST", path, { pin });
    sessionStorage.setItem(UNLOCKED_AS, unlocked.profile_token);
  }

  recommendations = (profileId, count = 20) =>
    this.#signed(
      "GET",
      `/v1/profiles/${encodeURIComponent(profileId)}/recommendations?count=${count}` +
        `&os=${encodeURIComponent(platform())}`,
    );

  /** What the profile says of titles, by content id. */
  feedback = async (profileId) => {
    const said = await this.#signed("GET", `/v1/profiles/${encodeURIComponent(profileId)}/feedback`);
    return new Map(said.titles.map((each) => [each.content_id, each]));
  };

  /** In place of what the profile said of the title before. */
  giveFeedback = (profileId, contentId, { thumb, is_hidden, is_favorite }) => {
    const [profile, content] = [profileId, contentId].map(encodeURIComponent);
    const path = `/v1/profiles/${profile}/feedback/${content}`;
    const proof = sessionStorage.getItem(UNLOCKED_AS);
    return this.#signed("PUT", path, { thumb, is_hidden, is_favorite }, { proof });
  };

  openSession = (asked) =>
    this.#signed("POST", "/v1/sessions", asked, { proof: sessionStorage.getItem(UNLOCKED_AS) });

  /** `keepalive` where the page is going away. */
  endSession = (sessionId, { keepalive = false } = {}) =>
    this.#signed("DELETE", `/v1/sessions/${encodeURIComponent(sessionId)}`, undefined, {
      keepalive,
    });

  /** Every listed title, page after page. */
  async titles() {
    const titles = [];
    let cursor = "";
    do {
      const page = await send("GET", `/v1/titles?cursor=${encodeURIComponent(cursor)}`);
      titles.push(...page.titles);
      cursor = page.next_cursor ?? "";
    } while (cursor);
    return titles;
  }

  async #signed(method, path, body, options = {}) {
    if (this.#access === null) await this.resume();
    try {
      return await send(method, path, body, { ...options, bearer: this.#access });
    } catch (error) {
      if (!(error instanceof ProblemError) || error.status !== 401) throw error;
    }
    await this.resume();
    return send(method, path, body, { ...options, bearer: this.#access });
  }

  async #takeTokens(grant) {
    try {
      const tokens = await send("POST", "/v1/tokens", grant);
      this.#access = tokens.access_token;
      sessionStorage.setItem(STORED_AS, tokens.refresh_token);
    } catch (error) {
      if (error instanceof ProblemError && error.status < 500) this.forget();
      throw error;
    }
  }
}

/**
 * One request; raises ProblemError for what was refused, TypeError where nobody answers. What only
 * reads is asked again as long as the gateway is busy.
 */
export async function send(method, path, body, options = {}) {
  for (let tries = 1; ; tries += 1) {
    const answer = await ask(method, path, body, options);
    if (answer.status === 204) return null;
    const isBusy = answer.status === 503 || answer.status === 429;
    if (isBusy && method === "GET" && tries < TRIES_MAX) {
      await pause(1000 * Number(answer.headers.get("Retry-After") ?? 1));
      continue;
    }
    const read = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ProblemError(answer.status, read);
    return read;
  }
}

function ask(method, path, body, { bearer = null, keepalive = false, proof = null }) {
  const headers = {};
  if (proof !== null) headers["Profile-Token"] = proof;
  if (bearer !== null) headers.Authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, {
    method,
    headers,
    keepalive,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
