// The form for a limit order: what an operator enters when a utility calls, or when something breaks.

import { Problem, now, write } from "./api.js";
import { el, field, hint, show } from "./dom.js";
import * as format from "./format.js";

const KINDS = {
  curtailment: "Curtailment order",
  demand_response: "Demand-response call",
  outage: "Outage",
  emergency_stop: "Emergency stop",
};

export class OrderForm {
  /** `onDone` is called when an order was taken, so that the page looks for the new plan. */
  constructor(dialog, onDone) {
    Object.assign(this, { dialog, onDone });
  }

  /** `sites`: [{name, title, zone, limitW}]; `chosen` is preset. */
  open(sites, chosen) {
    this.sites = new Map(sites.map((site) => [site.name, site]));
    this.dialog.replaceChildren(this.form(sites, chosen ?? sites[0].name));
    this.fit();
    this.dialog.showModal();
  }

  form(sites, chosen) {
    this.site = el(
      "select",
      { name: "site", onchange: () => this.fit() },
      sites.map((s) => el("option", { value: s.name, selected: s.name === chosen }, s.title)),
    );
    this.kind = el(
      "select",
      { name: "kind", onchange: () => this.fitKind() },
      Object.entries(KINDS).map(([kind, name]) => el("option", { value: kind }, name)),
    );
    this.limit = el("input", {
      name: "limit",
      type: "number",
      min: 0,
      step: 0.001,
      required: true,
      inputmode: "decimal",
    });
    this.start = el("input", {
      name: "start",
      type: "datetime-local",
      required: true,
    });
    this.end = el("input", { name: "end", type: "datetime-local" });
    this.reason = el("input", { name: "reason", type: "text", maxlength: 500, placeholder: "Who asked, and why" });
    this.result = el("div", { class: "result", role: "alert" });
    this.button = el("button", { type: "submit", class: "primary" }, "Enter the order");
    return el(
      "form",
      { method: "dialog", onsubmit: (event) => this.send(event) },
      el("h2", { id: "order-title" }, "Limit order for a site"),
      el(
        "p",
        { class: "note" },
        "The site's draw must not exceed the limit while the order is in force. A new plan is made at once and sent to the sites.",
      ),
      field("Site", this.site),
      field("Kind", this.kind),
      field("Limit at the meter, MW", this.limit, ""),
      field("From", this.start, ""),
      field("Until", this.end, "Leave empty for an order without an end."),
      field("Reason", this.reason),
      this.result,
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, "Close"),
        this.button,
      ),
    );
  }

  /** Bounds, hints and presets that hang on the site. */
  fit() {
    const site = this.sites.get(this.site.value);
    this.limit.max = site.limitW / 1e6;
    hint(this.limit, `0 makes the site dark; its connection is ${format.exactMw(site.limitW)} MW.`);
    hint(this.start, `Local time of the site, ${site.zone}.`);
    const next = new Date(Math.ceil(now().getTime() / 60000 + 1) * 60000);
    this.start.value = format.localInput(next, site.zone);
  }

  /** An emergency stop is to nothing. */
  fitKind() {
    this.limit.readOnly = this.kind.value === "emergency_stop";
    if (this.limit.readOnly) this.limit.value = 0;
  }

  async send(event) {
    event.preventDefault();
    const site = this.sites.get(this.site.value);
    const start = format.fromLocalInput(this.start.value, site.zone);
    const end = this.end.value ? format.fromLocalInput(this.end.value, site.zone) : null;
    if (!start || (this.end.value && !end))
      return this.say("refused", "That hour does not exist at the site: its clocks change over it.");
    if (end && end <= start) return this.say("refused", "Until: expected a time after From.");
    this.button.disabled = true;
    const order = {
      site: site.name,
      kind: this.kind.value,
      start: start.toISOString(),
      limit_w: Math.round(Number(this.limit.value) * 1e6),
      reason: this.reason.value,
    };
    if (end) order.end = end.toISOString();
    try {
      await write("/v1/events", order);
      const from = `${format.day(start, site.zone)} ${format.time(start, site.zone)}`;
      const until = end
        ? `until ${format.day(end, site.zone)} ${format.time(end, site.zone)}`
        : "until it is withdrawn";
      this.say(
        "taken",
        `In force: ${site.title} at most ${format.exactMw(order.limit_w)} MW from ${from} ${until}. A new plan is being made.`,
      );
      this.button.remove(); // one order a form: a second press must not enter it twice
      this.dialog.querySelector(".buttons button").textContent = "Done";
      this.onDone();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.say(
        "refused",
        error.message,
        error.errors.map((e) => `${e.pointer}: ${e.detail}`),
      );
    } finally {
      this.button.disabled = false;
    }
  }

  say(kind, text, list = []) {
    this.result.className = `result ${kind}`;
    show(
      this.result,
      el("p", {}, text),
      list.length > 1
        ? el(
            "ul",
            {},
            list.map((line) => el("li", {}, line)),
          )
        : null,
    );
  }
}
