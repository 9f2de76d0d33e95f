// The only file that talks to the service. Reads are polled by ETag.

const etags = new Map();
const unanswered = new Map(); // writes of which nobody knows whether they were done, with their keys
let clockSkewMs = 0;

/** The service's present, as far as the page knows it. */
export const now = () => new Date(Date.now() + clockSkewMs);

export const send = (path, options) =>
  fetch(path, { credentials: "same-origin", cache: "no-store", ...options }).catch(() => {
    throw new Problem({ detail: "The service cannot be reached." }, 0);
  });

/** GET; returns the parsed body, or `null` when it is the one that was read last, unless it is wanted `always`. */
export async function read(path, { always = false } = {}) {
  const known = always ? null : etags.get(path);
  const response = await send(path, {
    headers: { Accept: "application/json", ...(known ? { "If-None-Match": known } : {}) },
  });
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (Math.abs(date - Date.now()) > 2000) clockSkewMs = date - Date.now();
  if (response.status === 304) return null;
  const body = await response.json();
  if (!response.ok) throw new Problem(body, response.status);
  etags.set(path, response.headers.get("ETag"));
  return body;
}

/**
 * POST, or another write. The session's cookie is bound to this site, and the service checks where a write comes from.
 * One that was not answered keeps its key, so that the service does it once if it is sent again.
 */
export async function write(path, body, headers = {}, method = "POST") {
  const what = JSON.stringify([method, path, body]);
  const key = unanswered.get(what) ?? crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  unanswered.set(what, key);
  const response = await send(path, {
    method,
    headers: {
      ...headers,
      ...(body === null ? {} : { "Content-Type": "application/json" }),
      Accept: "application/json",
      "Idempotency-Key": key,
    },
    body: body === null ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== 409) unanswered.delete(what); // 409: the first one is still being done
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Problem(answer, response.status);
  return answer;
}

/** An answer in problem+json, in words. */
export class Problem extends Error {
  constructor(body, status) {
    super(body?.detail || body?.title || `the service answered ${status}`);
    this.status = status;
    this.errors = body?.errors ?? [];
  }
}
