// The page of what-ifs: its state is the address (which one is open, which beside it); it asks, follows, opens and compares.

import { Problem, read, write } from "./api.js";
import { Answer, comparison, ended, inShort, when } from "./answer.js";
import { Ask, OTHER_KEY, mayAsk } from "./ask.js";
import { $, data, el, redraw, show } from "./dom.js";
import * as format from "./format.js";
import { Session } from "./session.js";
import { theme } from "./theme.js";

const LOOK_EVERY_MS = 5000;
const FOLLOW_EVERY_MS = 1000;
const PAGE = 12;

const state = { one: null, beside: null };
const jobs = new Map(); // what-ifs by id, newest state that was read
const words = new Map(); // changes in words, by id
let who; // as /v1/now tells it; undefined before it was asked
let titles = new Map();
let listed = []; // ids, newest first
let more = null; // the cursor of older ones
let between = null; // the comparison of the two that are beside each other
let said = "";

const session = new Session($("session"), $("sign-in"), () => look());
const answer = new Answer($("answer"), {
  onCancel: () => cancel().catch(unreachable),
  onAgain: () => again().catch(unreachable),
  onBeside: (id) => go({ one: state.one, beside: id }),
});
const ask = new Ask($("ask"), $("base"), { onAsked: asked, signIn: () => session.signIn() });

const job = (id) => `/v1/jobs/${encodeURIComponent(id)}`;

// --- the address is the state ----------------------------------------------------------------------------------------

function fromAddress() {
  const query = new URLSearchParams(location.search);
  state.one = query.get("one");
  state.beside = query.get("beside");
}

function go(to, how = "pushState") {
  Object.assign(state, { one: null, beside: null }, to);
  const query = new URLSearchParams(Object.entries(state).filter(([, id]) => id));
  history[how](null, "", query.size ? `?${query}` : location.pathname);
  open().catch(unreachable);
}

// --- reading ---------------------------------------------------------------------------------------------------------

/** Read the newest what-ifs, or those that are older than what is listed. */
async function list(cursor = null) {
  const query = new URLSearchParams({ kind: "scenario", limit: PAGE, ...(cursor ? { cursor } : {}) });
  const page = await read(`/v1/jobs?${query}`, { always: true });
  for (const each of page.items) jobs.set(each.job_id, each);
  const ids = page.items.map((each) => each.job_id);
  const isFirst = cursor === null && !listed.some((id) => !ids.includes(id));
  listed = cursor ? [...listed, ...ids] : [...new Set([...ids, ...listed])];
  if (cursor || isFirst) more = page.next_cursor;
}

const kept = async (id) => {
  if (!jobs.has(id)) {
    const found = await read(job(id), { always: true });
    if (found.kind !== "scenario") throw new Problem({ detail: "That is no what-if." }, 404);
    jobs.set(id, found);
  }
  return jobs.get(id);
};

/** Read what the open what-if needs, and draw it. */
async function open() {
  between = null;
  if (!state.one) return draw();
  const { one, beside } = state;
  try {
    const [first, second] = await Promise.all([kept(one), beside ? kept(beside) : null]);
    if (!words.has(one)) words.set(one, await inWords(first));
    if (second) between = await difference(first, second);
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
    if (state.one === one) answer.none("There is no such what-if, or it is not kept any more.");
    return;
  }
  if (state.one === one && state.beside === beside) draw();
}

/** What changes mean, in the service's words; as they were written where they fit the plan in force no more. */
async function inWords({ payload }) {
  return (await meanings(payload.set))?.map((change) => change.words) ?? payload.set;
}

const meanings = (set) =>
  read(`/v1/scenario-changes?${new URLSearchParams({ set: set.join("\n") })}`, { always: true }).then(
    ({ items }) => items,
    (error) => {
      if (!(error instanceof Problem)) throw error;
      return null;
    },
  );

/** The comparison of two what-ifs' plans, or null where one of them is not kept any more. */
async function difference(first, second) {
  const [from, to] = [first, second].map((each) => encodeURIComponent(each.result?.plan_id));
  return read(`/v1/plans/${to}/diff?against=${from}`, { always: true }).catch((error) => {
    if (!(error instanceof Problem) || ![404, 409, 422].includes(error.status)) throw error;
    return null;
  });
}

// --- drawing ---------------------------------------------------------------------------------------------------------

function draw() {
  recent();
  const open = jobs.get(state.one);
  document.title = `${open ? `${open.payload.name} · ` : ""}What if … · wattsplit`;
  if (!open) return answer.none();
  const ids = new Set([...listed, state.beside].filter((id) => jobs.has(id)));
  const others = [...ids].map((id) => jobs.get(id)).filter((each) => each !== open && comparison(each));
  const beside = comparison(open) ? jobs.get(state.beside) : null;
  const changes = words.get(state.one) ?? open.payload.set;
  const second = beside && comparison(beside) ? beside : null;
  answer.draw({ job: open, changes, may: mayAsk(who), others, beside: second, between, titles });
  const now = `${open.payload.name}: ${inShort(open)}`;
  if (now !== said) show($("aloud"), (said = now));
}

function recent() {
  const key = JSON.stringify([listed.map((id) => jobs.get(id).state), listed, state.one, more]);
  if (recent.key === key) return; // keeps the focus where it is
  recent.key = key;
  redraw(
    $("recent"),
    listed.length === 0 && el("p", { class: "note" }, "Nothing was asked yet."),
    el(
      "ol",
      { class: "asked" },
      listed.map((id) => line(jobs.get(id))),
    ),
    more && el("button", { type: "button", class: "quiet", onclick: older }, "Older ones"),
  );
}

const older = () => list(more).then(draw, unreachable);

function line(each) {
  const found = comparison(each);
  const profit = found && data(found.profit_usd.difference, format.signed(found.profit_usd.difference, format.usd));
  const here = each.job_id === state.one && "true";
  const pick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go({ one: each.job_id });
    toAnswer();
  };
  return el(
    "li",
    { "data-job": each.job_id },
    el(
      "a",
      { href: `?one=${encodeURIComponent(each.job_id)}`, "aria-current": here, onclick: pick },
      each.payload.name,
    ),
    el("span", { class: "figure" }, profit ?? each.state),
    el("small", {}, `${each.payload.set.join(", ")} · ${when(each.created_at)}`),
  );
}

// --- acting ----------------------------------------------------------------------------------------------------------

function asked(taken) {
  jobs.set(taken.job_id, taken);
  listed = [...new Set([taken.job_id, ...listed])];
  go({ one: taken.job_id });
  toAnswer();
  follow();
}

function toAnswer() {
  $("answer").focus({ preventScroll: true });
  $("answer").scrollIntoView();
}

async function cancel() {
  const { job_id: id } = jobs.get(state.one);
  jobs.set(id, await write(`${job(id)}/cancel`, {}));
  draw();
}

async function again() {
  const { payload } = jobs.get(state.one);
  const changes = await meanings(payload.set);
  if (!changes) return answer.none("Its changes do not fit the plan in force any more; compose them anew.");
  ask.fill(payload.name, changes);
  $("ask-title").scrollIntoView();
  ask.changes[0].value.focus();
}

/** Read what-ifs that are under way until they have ended. */
async function follow() {
  clearTimeout(follow.timer);
  const turn = (follow.turn = (follow.turn ?? 0) + 1);
  const waiting = [...new Set([...listed, state.one])].filter((id) => jobs.has(id) && !ended(jobs.get(id)));
  try {
    for (const id of waiting) {
      jobs.set(id, await read(job(id), { always: true }));
      if (ended(jobs.get(id))) ask.ended(id);
    }
    if (waiting.length) draw();
    reached();
  } catch (error) {
    unreachable(error);
  }
  if (waiting.length && turn === follow.turn) follow.timer = setTimeout(follow, FOLLOW_EVERY_MS);
}

/** See who is signed in, and read all there is for them when that has changed or was not read yet. */
async function look() {
  clearTimeout(look.timer);
  const turn = (look.turn = (look.turn ?? 0) + 1);
  try {
    const first = who === undefined;
    const now = await read("/v1/now", { always: first });
    const changed = now && now.who?.role !== who?.role;
    if (now) who = now.who;
    session.draw(who);
    ask.permit(who);
    if (who && !mayAsk(who)) closed();
    else if (changed || first || !ask.form || !listed.length) await all();
    reached();
  } catch (error) {
    unreachable(error);
  }
  if (turn === look.turn) look.timer = setTimeout(look, LOOK_EVERY_MS);
}

async function all() {
  document.querySelector(".what-ifs").hidden = false;
  await ask.load();
  await list();
  if (!titles.size) {
    const { items } = await read("/v1/sites?limit=500", { always: true });
    titles = new Map(items.map((site) => [site.name, site.title]));
  }
  await open();
  follow();
}

/** Whoever is signed in may neither ask nor read what-ifs. */
function closed() {
  document.querySelector(".what-ifs").hidden = true;
  lost(`${who.role[0].toUpperCase()}${who.role.slice(1)}s may not ask what-ifs`, OTHER_KEY);
}

function lost(title, text, ...more) {
  $("lost").hidden = false;
  if (lost.words === `${title} ${text}`) return; // it is an alert: read aloud when it is rewritten
  lost.words = `${title} ${text}`;
  show($("lost"), el("strong", {}, title), el("p", {}, text), ...more);
}

const reached = () => ($("lost").hidden = !(who && !mayAsk(who)));

function unreachable(error) {
  if (!(error instanceof Problem)) throw error; // a fault of this page, not of the service
  if (error.status === 401) {
    who = undefined; // whoever signs in next is shown all anew
    session.draw(null);
    const enter = el("button", { type: "button", class: "primary", onclick: () => session.signIn() }, "Sign in");
    document.querySelector(".what-ifs").hidden = true;
    return lost("Sign in to ask what-ifs", "Here, they are shown to known people only.", enter);
  }
  lost(error.status === 404 ? "Not yet" : "No answer", error.message);
}

theme($("theme"));
window.addEventListener("popstate", () => (fromAddress(), open().catch(unreachable)));
fromAddress();
answer.none();
look();
