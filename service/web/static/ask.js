// The form of a what-if: one of the library to begin with, changes of one's own, and how hard to try.

import { Problem, read, write } from "./api.js";
import { Change } from "./change.js";
import { el, field, hint, show } from "./dom.js";
import * as format from "./format.js";

const MAY_ASK = ["planner", "operator"];
export const OTHER_KEY = "Sign out, and in again with the key of a planner or an operator.";
const AS_PLANNED = "Left empty: as the service plans.";
const POINTER = /^\/set\/(\d+)/;

export const mayAsk = (who) => MAY_ASK.includes(who?.role);

export class Ask {
  /** `onAsked` is called with the job of a what-if that was taken, `signIn` opens the way in. */
  constructor(host, base, { onAsked, signIn }) {
    Object.assign(this, { host, base, onAsked, signIn, changes: [], checked: 0 });
  }

  /** Read what can be asked, and draw the form; once. */
  async load() {
    if (this.form) return;
    const [library, known] = await Promise.all(
      ["library", "quantities"].map((what) => read(`/v1/scenario-${what}`, { always: true })),
    );
    if (this.form) return; // read twice at once
    Object.assign(this, { library: library.items, known });
    const start = new Date(known.start);
    show(
      this.base,
      "The fleet is planned twice, with the inputs of the plan in force and with your changes to them, and both plans are ",
      `compared. Hours count from ${format.day(start, "UTC")} ${format.time(start, "UTC")} UTC; `,
      `there are ${format.hours(3600 * known.hours)}.`,
    );
    this.draw();
  }

  draw() {
    this.choice = el(
      "select",
      { name: "library", onchange: () => this.choose() },
      el("option", { value: "" }, "Changes of your own"),
      this.library.map((one) =>
        el(
          "option",
          { value: one.name, disabled: !one.changes.length },
          one.changes.length ? one.title : `${one.title} (another day: by command line)`,
        ),
      ),
    );
    this.list = el("div", { class: "changes" });
    this.name = el("input", { name: "name", type: "text", maxlength: 200, autocomplete: "off" });
    this.gap = el("input", { name: "gap", type: "number", min: 0, max: 100, step: "any", inputmode: "decimal" });
    this.budget = el("input", { name: "budget", type: "number", min: 1, step: 1, inputmode: "numeric" });
    this.strict = el("input", { name: "strict", type: "checkbox", id: "field-strict" });
    this.result = el("div", { class: "result", role: "alert" });
    this.button = el("button", { type: "submit", class: "primary" }, "Ask");
    this.gate = el("div", { class: "gate" });
    this.harder = el(
      "details",
      {},
      el("summary", {}, "Its name, and how hard to try"),
      field("Name", this.name, ""),
      field("Gap to stop at, %", this.gap, ""),
      field("Longest time for a plan, s", this.budget, ""),
      el(
        "p",
        { class: "check" },
        this.strict,
        el("label", { for: "field-strict" }, "Say what contradicts itself, instead of letting pins and state give way"),
      ),
    );
    this.hints = {
      "/name": [this.name, "Left empty, its changes name it."],
      "/asked_gap": [this.gap, `${AS_PLANNED} Smaller is surer, and takes longer.`],
      "/budget_s": [this.budget, AS_PLANNED],
    };
    this.harder.addEventListener("invalid", () => (this.harder.open = true), true); // none is marked where nobody sees it
    this.form = el(
      "form",
      { oninput: () => this.fit(), onsubmit: (event) => this.send(event) },
      field("Begin with", this.choice, ""),
      this.list,
      el("button", { type: "button", class: "quiet", onclick: () => this.add().quantity.focus() }, "Add a change"),
      el(
        "p",
        { class: "note" },
        "A value with a sign changes what is there, one without replaces it, so does ",
        el("code", {}, ":="),
        " in any case, as a negative price needs: ",
        el("code", {}, ":=-40"),
        ". A percentage without a sign is what remains.",
      ),
      this.harder,
      this.result,
      this.gate,
      el("div", { class: "buttons" }, this.button),
    );
    show(this.host, this.form);
    this.unmark();
    this.fill("", []);
    this.permit(this.who);
  }

  /** Say who may ask, to whoever may not. */
  permit(who) {
    this.who = who;
    if (!this.form) return;
    this.button.hidden = !mayAsk(who);
    show(
      this.gate,
      !mayAsk(who) && [
        el(
          "p",
          {},
          who
            ? `You are signed in as ${who.role}, who may not ask what-ifs. ${OTHER_KEY}`
            : "What-ifs are asked by planners and operators: sign in with a key of theirs, or with a one-time link.",
        ),
        !who && el("button", { type: "button", class: "primary", onclick: this.signIn }, "Sign in to ask"),
      ],
    );
  }

  /** Fill the form with one of the library. */
  choose() {
    const one = this.library.find(({ name }) => name === this.choice.value);
    this.fill(one?.title ?? "", one?.changes ?? []);
    this.choice.value = one?.name ?? "";
    hint(this.choice, one?.why ?? "");
  }

  /** Fill the form with changes as the service reads them. */
  fill(name, changes) {
    this.choice.value = "";
    hint(this.choice, "");
    this.name.value = name;
    this.changes = [];
    show(this.list);
    for (const change of changes) this.add().fill(change);
    if (!changes.length) this.add();
    show(this.result);
    this.result.className = "result";
    this.check();
  }

  add() {
    const change = new Change(this.known.items, {
      onRemove: (gone) => this.drop(gone),
      onEdit: () => this.check(),
    });
    this.changes.push(change);
    change.enter(this.list);
    this.number();
    return change;
  }

  drop(gone) {
    this.changes = this.changes.filter((change) => change !== gone);
    gone.node.remove();
    this.number();
    this.check();
    (this.changes.at(-1) ?? this).quantity?.focus();
  }

  number() {
    const lone = this.changes.length === 1;
    this.changes.forEach((change, n) => {
      show(change.legend, lone ? "Change" : `Change ${n + 1}`);
      change.remove.hidden = lone;
    });
    this.fit();
  }

  /** Let the service say what the changes mean, before anybody plans with them. */
  async check() {
    const turn = (this.checked += 1);
    const written = this.changes.filter((change) => change.text !== null);
    if (!written.length) return;
    const set = written.map((change) => change.text).join("\n");
    try {
      const { items } = await read(`/v1/scenario-changes?${new URLSearchParams({ set })}`, { always: true });
      if (turn === this.checked) written.forEach((change, n) => change.means(items[n].words));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (turn === this.checked) this.place(error, written);
    }
  }

  /** Put each fault at its field; returns the words of those that have none here. */
  place(problem, changes) {
    for (const change of changes) change.hush();
    const rest = [];
    for (const fault of problem.errors) {
      const at = changes[POINTER.exec(fault.pointer)?.[1]];
      if (at) at.fault(fault);
      else if (fault.pointer in this.hints) this.mark(fault);
      else rest.push(fault.pointer ? `${fault.pointer}: ${fault.detail}` : fault.detail);
    }
    return problem.errors.length ? rest : [problem.message];
  }

  /** Mark a field that is no change's. */
  mark({ pointer, detail }) {
    const [control] = this.hints[pointer];
    control.setAttribute("aria-invalid", "true");
    hint(control, detail);
    this.harder.open = true;
  }

  unmark() {
    for (const [control, words] of Object.values(this.hints)) {
      control.removeAttribute("aria-invalid");
      hint(control, words);
    }
  }

  get body() {
    const set = this.changes.map((change) => change.text ?? "");
    const body = { name: this.name.value.trim() || set.join(", ").slice(0, 200), set };
    if (this.gap.value) body.asked_gap = Number(this.gap.value) / 100;
    if (this.budget.value) body.budget_s = Number(this.budget.value);
    if (this.strict.checked) body.strict = true;
    return body;
  }

  /** The same is not asked again while its answer is on the way. */
  fit() {
    if (!this.form) return;
    const same = this.asked && JSON.stringify(this.body) === this.asked.words;
    this.button.disabled = Boolean(this.sending || same);
    show(this.button, this.sending ? "Asking…" : same ? "Asked" : "Ask");
  }

  /** A job has ended: whoever wants to may ask the same again. */
  ended(job) {
    if (this.asked?.job !== job) return;
    this.asked = null;
    this.fit();
  }

  async send(event) {
    event.preventDefault();
    if (this.button.disabled) return;
    const body = this.body;
    this.sending = true;
    this.checked += 1; // what is still being checked is told by this answer
    this.fit();
    this.unmark();
    this.result.className = "result";
    show(this.result);
    try {
      const job = await write("/v1/scenarios", body);
      this.asked = { words: JSON.stringify(body), job: job.job_id };
      this.onAsked(job);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.refuse(error);
    } finally {
      this.sending = false;
      this.fit();
    }
  }

  refuse(problem) {
    const rest = this.place(problem, this.changes);
    const words = rest.length ? rest.join(" ") : "It was not asked: see the field that is marked.";
    this.form.querySelector('[aria-invalid="true"]')?.focus();
    this.result.className = "result refused";
    show(this.result, el("p", {}, problem.status === 401 ? "The session has ended: sign in again, and ask." : words));
  }
}
