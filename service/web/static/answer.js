// The answer to a what-if: how far it is, what came of it, or why nothing can; and what may be done with it.

import { el, redraw, show } from "./dom.js";
import * as format from "./format.js";
import { outcome, sideBySide } from "./compared.js";
import { doing } from "./words.js";

const PHASES = { base: [0.5, "Plan 1 of 2, without the changes"], "what-if": [1.5, "Plan 2 of 2, with the changes"] };
const KINDS = { offered: "One of these must give way", blocking: "These stand in the way" };
const STATES = {
  queued: "Asked; it waits for its turn.",
  infeasible: "No plan can keep all hard rules with these changes.",
  cancelled: "Cancelled.",
  failed: "It failed.",
};
const APART = "The two were asked of different plans in force: part of what is between them is that.";
const EMPTY =
  "The answer appears here: the difference of profit with its ±, where it comes from, and what every site does otherwise.";
const ENDED = ["done", "failed", "infeasible", "cancelled"];

export const ended = (job) => ENDED.includes(job.state);
export const comparison = (job) => (job.state === "done" ? (job.result?.comparison ?? null) : null);
export const when = (instant) => `${format.day(new Date(instant), "UTC")} ${format.time(new Date(instant), "UTC")} UTC`;

/** A job's state in a few words, for those who cannot see the page. */
export function inShort(job) {
  const found = comparison(job);
  if (found) {
    const sure = found.plus_minus_usd === null ? "" : `, plus or minus ${format.usd(found.plus_minus_usd)}`;
    return `Done: profit ${format.signed(found.profit_usd.difference, format.usd)}${sure}.`;
  }
  if (job.state === "running") return `${PHASES[job.progress.phase]?.[1] ?? "Running"}.`;
  return STATES[job.state] ?? job.state;
}

export class Answer {
  /** What may be done: `onCancel`, `onAgain` (to change it and ask), `onBeside` (an id, or null). */
  constructor(host, handlers) {
    Object.assign(this, { host, handlers });
  }

  none(words = "") {
    this.key = null;
    show(this.host, el("p", { class: "note" }, words || EMPTY));
  }

  /** `view`: {job, changes (in words), may, others (answered what-ifs), beside (one of them), between, titles}. */
  draw(view) {
    const { job, changes, may, others, beside, between, titles } = view;
    const ids = [job, beside, ...others].map((each) => each?.job_id);
    const key = JSON.stringify([job.state, job.cancel_asked_at, ids, changes, may, Boolean(between), titles.size]);
    if (key !== this.key) {
      this.key = key;
      redraw(this.host, this.head(view), this.content(view));
    }
    if (!ended(job)) this.progress(job);
  }

  head({ job, changes, may, others, beside }) {
    const done = comparison(job);
    const address = `/v1/scenarios/${encodeURIComponent(job.job_id)}/table`;
    const { onCancel, onAgain, onBeside } = this.handlers;
    const ending = job.finished_at ? `; ended ${when(job.finished_at)}` : "";
    const stopping = Boolean(job.cancel_asked_at);
    const act = (name, onclick, disabled = false) =>
      el("button", { type: "button", class: "quiet", disabled, onclick }, name);
    return el(
      "div",
      { class: "about" },
      el("h2", {}, job.payload.name),
      el(
        "ul",
        { class: "reasons" },
        changes.map((words) => el("li", {}, words)),
      ),
      el("p", { class: "note" }, `Asked by ${job.created_by}, ${when(job.created_at)}${ending}.`),
      el(
        "div",
        { class: "acts" },
        !ended(job) && may && act(stopping ? "Being cancelled…" : "Cancel", onCancel, stopping),
        act("Change it and ask again", onAgain),
        done && el("a", { class: "quiet", download: true, href: `${address}.xlsx` }, "Workbook"),
        done && el("a", { class: "quiet", download: true, href: `${address}.csv` }, "CSV"),
        done &&
          others.length > 0 &&
          el(
            "label",
            {},
            "Beside ",
            el(
              "select",
              { name: "beside", onchange: (event) => onBeside(event.target.value || null) },
              el("option", { value: "" }, "none other"),
              others.map((other) =>
                el(
                  "option",
                  { value: other.job_id, selected: other.job_id === beside?.job_id },
                  `${other.payload.name}, ${when(other.created_at)}`,
                ),
              ),
            ),
          ),
      ),
    );
  }

  content({ job, beside, between, titles }) {
    const found = comparison(job);
    if (found && beside) {
      const other = { name: beside.payload.name, found: comparison(beside) };
      const apart = job.result.base_digest !== beside.result.base_digest;
      return [
        apart && el("p", { class: "alert" }, APART),
        sideBySide({ name: job.payload.name, found }, other, between, titles),
      ];
    }
    if (found) return outcome(found, titles);
    if (job.state === "infeasible") return contradiction(job);
    if (ended(job)) {
      return el("div", { class: "alert" }, el("strong", {}, inShort(job)), el("p", {}, job.problem?.detail ?? ""));
    }
    this.bar = el("progress", { max: 2, "aria-label": "How far the what-if is" });
    this.line = el("p", {});
    return el("div", { class: "alert calm" }, this.bar, this.line);
  }

  progress(job) {
    const [share, phase] = PHASES[job.progress.phase] ?? [0, "Begins"];
    this.bar.value = job.state === "running" ? share : 0;
    show(this.line, job.state === "queued" ? inShort(job) : `${phase}: ${doing(job.progress)}`);
  }
}

/** Why no plan can exist, in the diagnosis' own words. */
function contradiction(job) {
  const told = job.result?.diagnosis ?? [];
  return el(
    "div",
    { class: "alert loud" },
    el("strong", {}, inShort(job)),
    told.length === 0 && el("p", {}, job.problem?.detail ?? ""),
    Object.entries(KINDS).map(([kind, title]) => {
      const lines = told.filter((each) => each.kind === kind);
      return (
        lines.length > 0 && [
          el("p", {}, `${title}:`),
          el(
            "ul",
            {},
            lines.map((each) => el("li", {}, each.words)),
          ),
        ]
      );
    }),
  );
}
