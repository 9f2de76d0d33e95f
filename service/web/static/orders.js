// What binds now or will: limit orders, machines out of service, pins; until when, why, and for operators the way to end them.

import { Problem, now, read, write } from "./api.js";
import { el, show } from "./dom.js";
import * as format from "./format.js";

const SHOWN = 6;

/** Each kind: where it is kept, what it says of a machine or meter, when it ends, how it reads, and how it is taken back. */
const KINDS = [
  {
    path: "/v1/events",
    query: "limit=500",
    id: "event_id",
    said: "order",
    ends: "end",
    one: "limit order",
    words: (order) => `at most ${format.exactMw(order.limit_w)} MW`,
    open: "until it is withdrawn",
    undo: "Withdraw",
  },
  {
    path: "/v1/outages",
    query: "standing=true&limit=500",
    id: "entry_id",
    said: "outage",
    ends: "end",
    one: "outage",
    words: (outage) => `${outage.count} of ${outage.machine} out of service`,
    open: "until it is ended",
    undo: "Back in service",
  },
  {
    path: "/v1/pins",
    query: "standing=true&limit=500",
    id: "entry_id",
    said: "pin",
    ends: "expires",
    one: "pin",
    words: (pin) => `${pin.count} of ${pin.machine} held${pin.mode ? ` in ${pin.mode}` : ""} by ${pin.owner}`,
    undo: "Take back",
  },
];

export class Orders {
  /** `onDone` is called when something was taken back, so that the page looks for the new plan. */
  constructor(host, onDone) {
    Object.assign(this, { host, onDone, entries: [] });
  }

  async load() {
    const lists = await Promise.all(KINDS.map(({ path, query }) => read(`${path}?${query}`, { always: true })));
    this.entries = lists.flatMap(({ items }, n) => items.map((entry) => ({ kind: KINDS[n], entry })));
  }

  /** `sites`: rows of the fleet; `site`: name of the one that is looked at, or null. */
  draw(sites, site, mayWithdraw) {
    const rows = new Map(sites.map((row) => [row.name, row]));
    const live = this.entries.filter(({ kind, entry }) => {
      const said = entry[kind.said];
      const over = said[kind.ends] && Date.parse(said[kind.ends]) <= now();
      return !entry.withdrawn_at && !over && rows.has(said.site) && (!site || said.site === site);
    });
    this.host.hidden = !live.length;
    const more = live.length - SHOWN;
    show(
      this.host,
      el("strong", {}, title(live)),
      el(
        "ul",
        {},
        live.slice(0, SHOWN).map((each) => this.line(each, rows.get(each.entry[each.kind.said].site), mayWithdraw)),
        more > 0 && el("li", {}, `and ${more} more`),
      ),
    );
  }

  line({ kind, entry }, row, mayWithdraw) {
    const said = entry[kind.said];
    const at = (text) => {
      const instant = new Date(text);
      return `${format.day(instant, row.zone)} ${format.time(instant, row.zone)}`;
    };
    const from = said.start ? ` from ${at(said.start)}` : "";
    const until = said[kind.ends] ? `until ${at(said[kind.ends])}` : kind.open;
    const words = `${row.title}: ${kind.words(said)}${from} ${until}, site time`;
    return el(
      "li",
      { "data-event": entry[kind.id] },
      words,
      said.reason ? `; ${said.reason} ` : " ",
      mayWithdraw &&
        el(
          "button",
          { type: "button", class: "quiet", onclick: (press) => this.withdraw(press, `${kind.path}/${entry[kind.id]}`) },
          kind.undo,
        ),
    );
  }

  async withdraw(press, address) {
    press.target.disabled = true;
    try {
      await write(address, null, {}, "DELETE");
      this.onDone();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      press.target.replaceWith(`: ${error.message}`);
    }
  }
}

/** What stands, counted by kind: "A limit order stands", "1 limit order, 2 outages and 1 pin stand". */
function title(live) {
  const counts = KINDS.map((kind) => [live.filter((each) => each.kind === kind).length, kind.one]).filter(([n]) => n);
  if (live.length === 1) return `${counts[0][1] === "outage" ? "An" : "A"} ${counts[0][1]} stands`;
  const words = counts.map(([n, one]) => `${n} ${one}${n > 1 ? "s" : ""}`);
  const last = words.pop();
  return `${words.length ? `${words.join(", ")} and ` : ""}${last} stand`;
}
