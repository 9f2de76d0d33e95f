// The only file that talks to the service. Reads are polled by ETag.

const etags = new Map();
let clockSkewMs = 0;

/** The service's present, as far as the page knows it. */
export const now = () => new Date(Date.now() + clockSkewMs);

/** GET; returns the parsed body, or `null` when nothing changed since the last call of the same address. */
export async function read(path) {
  const known = etags.get(path);
  const response = await fetch(path, {
    headers: { Accept: "application/json", ...(known ? { "If-None-Match": known } : {}) },
    credentials: "same-origin",
    cache: "no-store",
  });
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (Math.abs(date - Date.now()) > 2000) clockSkewMs = date - Date.now();
  if (response.status === 304) return null;
  const body = await response.json();
  if (!response.ok) throw new Problem(body, response.status);
  if (response.headers.get("ETag")) etags.set(path, response.headers.get("ETag"));
  return body;
}

/** Forget what was read, so that the next read brings a body again. */
export const forget = (path) => etags.delete(path);

/** POST. The session's cookie is bound to this site, and the service checks where a write comes from. */
export async function write(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json",
      "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()).slice(2),
    },
    credentials: "same-origin",
    body: JSON.stringify(body),
  });
  const text = await response.text();
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
