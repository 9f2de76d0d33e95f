// What binds now or will: limit orders, machines out of service, pins, changes of the difficulty, told awards of reserves;
// from when until when, who entered it and why, and for operators the way to end or correct it.

import { Problem, now, read, write } from "./api.js";
import { el, show } from "./dom.js";
import * as format from "./format.js";

const SHOWN = 6;

/**
 * Each kind: where it is kept, the field that holds what it says, when that ends, how it reads, and how it is taken back.
 * What has no site is of the fleet, and told in UTC. An award is not taken back: another word on its block replaces it.
 */
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
  {
    path: "/v1/difficulty-steps",
    query: "standing=true&limit=500",
    id: "entry_id",
    said: "difficulty",
    starts: "at",
    ends: "at",
    one: "change of the difficulty",
    many: "changes of the difficulty",
    words: (step) => `Network: difficulty ${change(step.change_share)}`,
    undo: "Take back",
  },
  {
    path: "/v1/awards",
    query: "standing=true&limit=500",
    id: "entry_id",
    said: "award",
    ends: "end",
    one: "award of a reserve",
    many: "awards of reserves",
    words: (award) => `${award.kw ? `${format.count(award.kw)} kW` : "nothing"} of ${award.reserve} awarded`,
  },
];

const change = (share) => `${share < 0 ? "−" : "+"}${format.fixed(Math.abs(share) * 100, 2)} %`;

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
    if (this.host.contains(document.activeElement) && document.activeElement.matches("input")) return; // somebody is writing
    const rows = new Map(sites.map((row) => [row.name, row]));
    const live = this.entries.filter(({ kind, entry }) => {
      const said = entry[kind.said];
      const over = said[kind.ends] && Date.parse(said[kind.ends]) <= now();
      if (entry.withdrawn_at || over) return false;
      return said.site === undefined || (rows.has(said.site) && (!site || said.site === site));
    });
    this.host.hidden = !live.length;
    const more = live.length - SHOWN;
    const shown = this.all ? live : live.slice(0, SHOWN);
    show(
      this.host,
      el("strong", {}, title(live)),
      el(
        "ul",
        {},
        shown.map((each) => this.line(each, rows.get(each.entry[each.kind.said].site), mayWithdraw)),
      ),
      more > 0 &&
        el(
          "button",
          {
            type: "button",
            class: "quiet",
            "aria-expanded": String(Boolean(this.all)),
            onclick: () => ((this.all = !this.all), this.draw(sites, site, mayWithdraw)),
          },
          this.all ? `Show the first ${SHOWN}` : `Show ${more} more`,
        ),
    );
  }

  line({ kind, entry }, row, mayWithdraw) {
    const said = entry[kind.said];
    const zone = row?.zone ?? "UTC";
    const at = (text) => `${format.day(new Date(text), zone)} ${format.time(new Date(text), zone)}`;
    const from = said.start ?? said[kind.starts];
    const until = said[kind.ends] ? `until ${at(said[kind.ends])}` : kind.open;
    const when = [from && `from ${at(from)}`, !kind.starts && until].filter(Boolean).join(" ");
    const why = said.reason || said.source;
    return el(
      "li",
      { "data-event": entry[kind.id] },
      el(
        "div",
        {},
        el("span", { class: "what" }, `${row ? `${row.title}: ` : ""}${kind.words(said)}`),
        el("span", { class: "when" }, ` ${when}, ${row ? "site time" : "UTC"}${why ? `; ${why}` : ""}`),
        el("span", { class: "by" }, `entered by ${entry.created_by}, ${at(entry.created_at)}`),
      ),
      mayWithdraw && this.ending(kind, entry),
    );
  }

  /** The button that takes an entry back, or corrects what was told of an award. */
  ending(kind, entry) {
    const act = (press) =>
      kind.undo ? this.withdraw(press, `${kind.path}/${entry[kind.id]}`) : this.correct(press, entry.award);
    return el("button", { type: "button", class: "quiet", onclick: act }, kind.undo ?? "Correct");
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

  /** Ask in place what was awarded instead; it counts from now on, and 0 is that nothing was. */
  correct(press, award) {
    const kw = el("input", {
      name: "kw",
      type: "number",
      min: 0,
      step: 1,
      required: true,
      value: award.kw,
      "aria-label": "Awarded, kW",
    });
    const tell = async (event) => {
      event.preventDefault();
      kw.blur(); // or the list would wait for its writer
      try {
        const { site, reserve, start } = award;
        await write("/v1/awards", { site, reserve, start, kw: Number(kw.value), source: "corrected on the page" });
        this.onDone();
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        form.replaceWith(`: ${error.message}`);
      }
    };
    const form = el(
      "form",
      { class: "correct", onsubmit: tell },
      kw,
      "kW",
      el("button", { type: "submit", class: "quiet" }, "Tell it"),
    );
    press.target.replaceWith(form);
    kw.focus();
  }
}

/** What stands, counted by kind: "A limit order stands", "1 limit order, 2 outages and 1 pin stand". */
function title(live) {
  const counts = KINDS.map((kind) => [live.filter((each) => each.kind === kind).length, kind]).filter(([n]) => n);
  if (live.length === 1) return `${/^[aou]/.test(counts[0][1].one) ? "An" : "A"} ${counts[0][1].one} stands`;
  const words = counts.map(([n, { one, many }]) => `${n} ${n > 1 ? (many ?? `${one}s`) : one}`);
  const last = words.pop();
  return `${words.length ? `${words.join(", ")} and ` : ""}${last} stand`;
}
