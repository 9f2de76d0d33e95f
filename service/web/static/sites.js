// The fleet's sites in one hour, as a table that sorts and leads to each site.

import { strip } from "./chart.js";
import { data, el, show } from "./dom.js";
import * as format from "./format.js";

const SORTS = {
  title: ["Site", (row) => row.title.toLowerCase(), 1],
  strip: ["Draw against limit", null],
  draw: ["Draw, MW", (row, t) => row.draw_w[t], -1],
  used: ["Of limit", (row, t) => row.draw_w[t] / (row.limit_w[t] || 1), -1],
  hashing: ["Hashing, MW", (row, t) => row.hashing_w[t], -1],
  inference: ["Inference, MW", (row, t) => row.inference_w[t], -1],
  price: ["USD/MWh", (row, t) => row.price_usd_per_mwh[t], -1],
  usd: ["Own profit, USD", (row) => row.usd, -1],
  served: ["Served, USD", (row) => row.served_usd, -1],
};

/** The fleet's sites in one hour; a click on a heading sorts, a click on a name picks the site. */
export class SiteTable {
  constructor(host, onPick) {
    Object.assign(this, { host, onPick, by: "usd", turned: false });
  }

  draw(plan, t) {
    if (this.plan !== plan) this.strips = new Map(plan.sites.map((row) => [row.name, siteStrip(row)]));
    Object.assign(this, { plan, t });
    const [, key, direction] = SORTS[this.by];
    const rows = [...plan.sites].sort((a, b) => {
      const [x, y] = [key(a, t), key(b, t)];
      return (x < y ? -1 : x > y ? 1 : a.name.localeCompare(b.name)) * direction * (this.turned ? -1 : 1);
    });
    show(
      this.host,
      el(
        "table",
        { class: "sites" },
        this.heading(),
        el(
          "tbody",
          {},
          rows.map((row) => this.row(row, t)),
        ),
      ),
    );
  }

  heading() {
    const cells = Object.entries(SORTS).map(([name, [label, key, direction]]) => {
      if (!key) return el("th", { scope: "col", class: name }, label);
      const sorted = this.by === name ? (direction > 0 !== this.turned ? "ascending" : "descending") : null;
      return el(
        "th",
        { scope: "col", class: name, "aria-sort": sorted },
        el("button", { type: "button", class: "sort", onclick: () => this.sort(name) }, label),
      );
    });
    return el("thead", {}, el("tr", {}, cells));
  }

  sort(name) {
    this.turned = this.by === name && !this.turned;
    this.by = name;
    this.draw(this.plan, this.t);
    this.host.querySelector(`th.${name} button`).focus();
  }

  row(row, t) {
    const share = row.limit_w[t] ? row.draw_w[t] / row.limit_w[t] : 0;
    return el(
      "tr",
      { "data-site": row.name },
      el(
        "th",
        { scope: "row" },
        el(
          "a",
          { href: `?site=${encodeURIComponent(row.name)}`, onclick: (event) => this.follow(event, row.name) },
          row.title,
        ),
        el("small", {}, row.region.replaceAll("_", " ")),
      ),
      el("td", { class: "strip" }, this.strips.get(row.name)),
      el("td", {}, data(row.draw_w[t], format.exactMw(row.draw_w[t]))),
      el("td", {}, row.limit_w[t] ? format.percent(share, 0) : "dark"),
      el("td", {}, data(row.hashing_w[t], format.exactMw(row.hashing_w[t]))),
      el(
        "td",
        { class: row.inference_w[t] ? "" : "zero" },
        data(row.inference_w[t], row.inference_w[t] ? format.exactMw(row.inference_w[t]) : "–"),
      ),
      el("td", {}, data(row.price_usd_per_mwh[t], format.price(row.price_usd_per_mwh[t]))),
      el("td", {}, data(row.usd, format.usd(row.usd))),
      el(
        "td",
        { class: row.served_usd ? "" : "zero" },
        data(row.served_usd, row.served_usd ? format.usd(row.served_usd) : "–"),
      ),
    );
  }

  follow(event, name) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.onPick(name);
  }
}

function siteStrip(row) {
  const rest = row.draw_w.map((w, t) => Math.max(0, w - row.hashing_w[t] - row.inference_w[t]));
  return strip(
    [
      ["inference", row.inference_w],
      ["standby", rest],
      ["normal", row.hashing_w],
    ],
    row.limit_w,
    {
      label: `${row.title}: draws ${format.mw(Math.min(...row.draw_w))} to ${format.mw(Math.max(...row.draw_w))} MW over the horizon`,
    },
  );
}
