// The page: its state is the address; it draws one plan, and looks every few seconds whether there is a newer one.

import { Problem, now, read } from "./api.js";
import { Chart } from "./chart.js";
import { $, el, show } from "./dom.js";
import * as format from "./format.js";
import { OrderForm } from "./order.js";
import { Orders } from "./orders.js";
import { alerts, figures, period, running } from "./panels.js";
import { Picker } from "./picker.js";
import { stepAt } from "./series.js";
import { Session } from "./session.js";
import { everyHour, inWords } from "./hours.js";
import { demand, machines, served } from "./machines.js";
import { money, proof } from "./money.js";
import { readout } from "./readout.js";
import { SiteTable } from "./sites.js";
import { theme } from "./theme.js";
import { Why } from "./why.js";

const LOOK_EVERY_MS = 5000;

const state = { site: null, tz: null, hour: null, table: false, hover: null };
let status = null; // what the service says of itself: /v1/now
let plan = null; // the document that is drawn
let fleet = []; // rows of all sites, of the last fleet document
let busy = null;

// --- the address is the state ----------------------------------------------------------------------------------------

function fromAddress() {
  const query = new URLSearchParams(location.search);
  state.site = query.get("site");
  state.tz = ["utc", "site"].includes(query.get("tz")) ? query.get("tz") : null;
  state.hour = query.get("hour");
  state.table = query.get("table") === "1";
}

function toAddress(how = "replaceState") {
  const query = new URLSearchParams();
  for (const name of ["site", "tz", "hour"]) if (state[name]) query.set(name, state[name]);
  if (state.table) query.set("table", "1");
  const address = query.size ? `?${query}` : location.pathname;
  if (address !== location.search) history[how](null, "", address);
}

const zone = () => {
  const local = plan?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const wanted = state.tz ?? (plan?.site ? "site" : "utc");
  return wanted === "utc" ? "UTC" : local;
};

/** The step in the address if the plan has it, else the one that sites run next. */
function step() {
  const nextStep = stepAt(plan, now().getTime());
  if (!state.hour) return nextStep;
  const found = plan.starts.findIndex((start) => Date.parse(start) === Date.parse(state.hour));
  return found < 0 ? nextStep : found;
}

const DASHED = " Dashed: a forecast.";
const BAND = " Dashed: a forecast, with its 10–90 % band.";

// --- drawing ---------------------------------------------------------------------------------------------------------

const chart = new Chart($("chart"), {
  onHover: (t) => t !== state.hover && ((state.hover = t), drawHour()),
  onPick: (t) => (pickHour(t), explain()),
});
const why = new Why($("why"));
const picker = new Picker($("picker"), (name) => go(name));
const siteTable = new SiteTable($("setpoint"), (name) => go(name));
const session = new Session($("session"), $("sign-in"), () => look());
const order = new OrderForm($("order"), () => ordersChanged());
const orders = new Orders($("orders"), () => ordersChanged());

/** What changes while the plan stays: who is signed in, how fresh it is, what is being made. */
function drawStatus() {
  alerts($("alerts"), plan, status);
  running($("running"), status);
  session.draw(status?.who);
  show($("foot"), status ? `wattsplit ${status.release}` : "wattsplit");
  orderButton();
  if (plan) orders.draw(fleet, plan.site, mayOrder());
}

function draw() {
  const empty = !plan;
  $("plan").hidden = empty;
  $("empty").hidden = !empty;
  drawStatus();
  if (empty) return waiting();
  document.title = `${plan.title} · wattsplit`;
  show($("fleet"), plan.fleet_title);
  picker.set(
    fleet.map((row) => ({
      name: row.name,
      title: row.title,
      region: row.region,
      country: row.country,
      peakW: Math.max(...row.limit_w),
    })),
    plan.fleet_title,
    plan.site,
  );
  zones();
  period($("period"), plan, zone(), age());
  figures($("figures"), plan);
  money($("money"), $("money-note"), plan);
  proof($("proof"), plan, zone());
  (plan.site ? served : demand)($("work"), plan);
  const low = Math.min(...plan.power.draw_w),
    high = Math.max(...plan.power.draw_w);
  const sentence = `${plan.site ? plan.title : "The fleet"} draws ${format.mw(low)} to ${format.mw(high)} MW under a limit of ${format.mw(Math.max(...plan.power.limit_w))} MW.`;
  const dashed = plan.price.forecast_from === null ? "" : plan.price.p10_usd_per_mwh.length ? BAND : DASHED;
  show(
    $("chart-note"),
    (plan.site
      ? "Mean power at the meter over each step; the line is what a MWh costs here. Click an hour for its reason."
      : "Mean power at the meters; the line is what the fleet pays per MWh, the thin lines its cheapest and dearest site.") +
      dashed,
  );
  $("hour").max = plan.starts.length - 1;
  $("why-button").hidden = !plan.site;
  $("csv").hidden = false;
  $("csv").href =
    `/v1/plans/${encodeURIComponent(plan.plan_id)}/table.csv${plan.site ? `?site=${encodeURIComponent(plan.site)}` : ""}`;
  chart.draw(plan, {
    zone: zone(),
    step: step(),
    hover: null,
    now: now().getTime(),
    limitNote: plan.site ? "" : ", all connections",
    label: `${sentence} Every number is in the table below the chart.`,
  });
  drawHour();
}

function drawHour() {
  const picked = step();
  const at = state.hover ?? picked;
  const next = stepAt(plan, now().getTime());
  const runs = now() >= Date.parse(plan.starts[next]);
  chart.mark(picked, state.hover);
  readout($("readout-title"), $("readout"), plan, at, zone(), at === next && (runs ? "now" : "next"));
  const slider = $("hour");
  slider.value = picked;
  const start = new Date(plan.starts[picked]);
  const when = `${format.day(start, zone())} ${format.time(start, zone())}`;
  slider.setAttribute(
    "aria-valuetext",
    `${when}: ${inWords(plan, picked)}, ${format.price(plan.price.mean_usd_per_mwh[picked])} USD/MWh`,
  );
  why.keep(plan, picked);
  if (state.hover !== null) return;
  const end = new Date(start.getTime() + plan.step_s[picked] * 1000);
  const which = picked !== next ? "Hour" : runs ? "This hour" : "Next hour";
  show(
    $("setpoint-title"),
    `${which}, ${when}–${format.time(end, zone())}: ${plan.site ? "set-points" : "site by site"}`,
  );
  show($("setpoint-note"), inWords(plan, picked));
  if (plan.site) machines($("setpoint"), plan, picked);
  else siteTable.draw(plan, picked);
  $("table").hidden = !state.table;
  $("table-toggle").setAttribute("aria-expanded", String(state.table));
  show($("table-toggle"), state.table ? "Hide the table" : "Show as table");
  if (state.table) everyHour($("table"), plan, zone(), picked);
}

function zones() {
  const isUtc = zone() === "UTC" && (state.tz ?? (plan.site ? "site" : "utc")) === "utc";
  $("tz-utc").setAttribute("aria-pressed", String(isUtc));
  $("tz-site").setAttribute("aria-pressed", String(!isUtc));
  show($("tz-site"), plan.site ? "Site time" : "Your time");
  $("tz-site").title = plan.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

function waiting() {
  show(
    $("empty"),
    el(
      "h1",
      {},
      status?.planning ? "The first plan is being made" : status ? "There is no plan yet" : "Asking the service…",
    ),
    status ? el("p", {}, "The first plan appears here by itself.") : null,
    status?.reasons
      .filter((reason) => !reason.startsWith("busy: "))
      .map((reason) => el("p", { class: "note" }, reason)),
    status?.next_run_at
      ? el("p", { class: "note" }, `The next run is due at ${format.time(new Date(status.next_run_at), "UTC")} UTC.`)
      : null,
  );
}

const mayOrder = () => status?.who?.role === "operator";

function orderButton() {
  const may = mayOrder() && plan !== null;
  if (orderButton.may === may) return; // keeps the focus where it is
  orderButton.may = may;
  show(
    $("order-button"),
    may && el("button", { type: "button", class: "quiet", onclick: openOrder }, "Enter a limit order"),
  );
}

const age = () => format.span((now().getTime() - Date.parse(plan.created_at)) / 1000);

// --- acting ----------------------------------------------------------------------------------------------------------

/** Turn to a site, or to the fleet. */
function go(name) {
  state.site = name;
  state.hover = null;
  toAddress("pushState");
  load().catch(unreachable);
}

function pickHour(t) {
  state.hour = plan.starts[t];
  toAddress();
  drawHour();
}

/** Say why the picked hour of a site is as it is; the fleet as a whole has no one reason. */
function explain() {
  if (plan.site) why.ask(plan, step(), zone()).catch(unreachable);
}

function openOrder() {
  order.open(
    fleet.map((row) => ({ name: row.name, title: row.title, zone: row.zone, limitW: row.connection_limit_w })),
    plan.site,
  );
}

async function ordersChanged() {
  await orders.load();
  drawStatus();
  await look();
}

/** Read the plan in the scope of the address, and draw it. */
async function load() {
  if (!status?.plan_id) return draw();
  const address = `/v1/plans/${encodeURIComponent(status.plan_id)}/overview`;
  const wanted = state.site;
  busy = wanted;
  if (fleet.of !== status.plan_id) {
    const whole = await read(address, { always: true });
    await orders.load();
    fleet = Object.assign([...whole.sites], { of: status.plan_id, whole });
  }
  let next = fleet.whole;
  if (fleet.some((row) => row.name === wanted))
    next = await read(`${address}?site=${encodeURIComponent(wanted)}`, { always: true });
  if (busy !== wanted) return; // the reader has picked another site since
  if (next === fleet.whole && wanted !== null) {
    // the address names a site that is not there
    state.site = null;
    toAddress();
  }
  plan = next;
  draw();
}

/** See whether anything is new. */
async function look() {
  try {
    const changed = await read("/v1/now");
    const newer = changed && changed.plan_id !== status?.plan_id;
    status = changed ?? status;
    if (newer || !plan) await load();
    else if (changed) drawStatus();
    if (plan) $("age").textContent = `made ${age()} ago`;
    document.body.classList.remove("offline");
    $("lost").hidden = true;
  } catch (error) {
    unreachable(error);
  }
}

async function keepLooking() {
  await look();
  setTimeout(keepLooking, LOOK_EVERY_MS);
}

function unreachable(error) {
  if (!(error instanceof Problem)) throw error; // a fault of this page, not of the service
  document.body.classList.add("offline");
  $("lost").hidden = false;
  const closed = error.status === 401;
  show(
    $("lost"),
    el("strong", {}, closed ? "Sign in to see the plan" : "No answer"),
    el("p", {}, closed ? "Here, plans are shown to known people only." : error.message),
    plan && el("p", {}, "What you see is the last plan that this page has read."),
    closed && el("button", { type: "button", class: "primary", onclick: () => session.signIn() }, "Sign in"),
  );
}

// --- the controls ---------------------------------------------------------------------------------------------------

$("tz-site").addEventListener("click", () => ((state.tz = "site"), toAddress(), plan && draw()));
$("tz-utc").addEventListener("click", () => ((state.tz = "utc"), toAddress(), plan && draw()));
$("hour").addEventListener("input", (event) => pickHour(Number(event.target.value)));
$("table-toggle").addEventListener("click", () => ((state.table = !state.table), toAddress(), drawHour()));
$("why-button").addEventListener("click", explain);
window.addEventListener("popstate", () => (fromAddress(), load().catch(unreachable)));

theme($("theme"));
const spent = new URLSearchParams(location.search).get("sign-in") === "spent";
fromAddress();
if (spent) toAddress();
keepLooking().then(() => spent && !status?.who && session.signIn({ spent }));
