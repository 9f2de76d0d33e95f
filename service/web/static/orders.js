// Limit orders that bind now or will: what they cap, until when, why, and for operators the way to take them back.

import { Problem, now, read, write } from "./api.js";
import { el, show } from "./dom.js";
import * as format from "./format.js";

const SHOWN = 6;

export class Orders {
  /** `onDone` is called when an order was withdrawn, so that the page looks for the new plan. */
  constructor(host, onDone) {
    Object.assign(this, { host, onDone, events: [] });
  }

  async load() {
    this.events = (await read("/v1/events?limit=500", { always: true })).items;
  }

  /** `sites`: rows of the fleet; `site`: name of the one that is looked at, or null. */
  draw(sites, site, mayWithdraw) {
    const rows = new Map(sites.map((row) => [row.name, row]));
    const live = this.events.filter(
      ({ order, withdrawn_at }) =>
        !withdrawn_at &&
        (!order.end || Date.parse(order.end) > now()) &&
        rows.has(order.site) &&
        (!site || order.site === site),
    );
    this.host.hidden = !live.length;
    const more = live.length - SHOWN;
    show(
      this.host,
      el("strong", {}, live.length === 1 ? "A limit order stands" : `${live.length} limit orders stand`),
      el(
        "ul",
        {},
        live.slice(0, SHOWN).map((event) => this.line(event, rows.get(event.order.site), mayWithdraw)),
        more > 0 && el("li", {}, `and ${more} more`),
      ),
    );
  }

  line({ event_id, order }, row, mayWithdraw) {
    const at = (text) => {
      const instant = new Date(text);
      return `${format.day(instant, row.zone)} ${format.time(instant, row.zone)}`;
    };
    const until = order.end ? `until ${at(order.end)}` : "until it is withdrawn";
    const words = `${row.title}: at most ${format.exactMw(order.limit_w)} MW from ${at(order.start)} ${until}, site time`;
    return el(
      "li",
      { "data-event": event_id },
      words,
      order.reason ? `; ${order.reason} ` : " ",
      mayWithdraw &&
        el(
          "button",
          { type: "button", class: "quiet", onclick: (press) => this.withdraw(press, event_id) },
          "Withdraw",
        ),
    );
  }

  async withdraw(press, event) {
    press.target.disabled = true;
    try {
      await write(`/v1/events/${event}`, null, {}, "DELETE");
      this.onDone();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      press.target.replaceWith(`: ${error.message}`);
    }
  }
}
