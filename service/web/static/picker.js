// The site picker: a button that reads as the page's title, and a searchable list (ARIA combobox) below it.

import { el, show } from "./dom.js";
import * as format from "./format.js";

/** The region, where the title does not say it already. */
function region({ title, region: name }) {
  const text = name.replaceAll("_", " ");
  return title.toLowerCase().includes(text.toLowerCase()) ? "" : `${text} · `;
}

export class Picker {
  constructor(host, onPick) {
    this.onPick = onPick;
    this.options = [];
    this.active = 0;
    this.button = el("button", {
      type: "button",
      class: "picker-button",
      "aria-haspopup": "listbox",
      "aria-expanded": "false",
      onclick: () => this.toggle(),
    });
    this.search = el("input", {
      type: "text",
      class: "picker-search",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "picker-list",
      "aria-autocomplete": "list",
      "aria-label": "Find a site",
      placeholder: "Find a site by name, region or country",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.filter(),
      onkeydown: (event) => this.key(event),
    });
    this.list = el("ul", { id: "picker-list", role: "listbox", "aria-label": "Sites", class: "picker-list" });
    this.popup = el("div", { class: "picker-popup", hidden: true }, this.search, this.list);
    host.append(this.button, this.popup);
    document.addEventListener("pointerdown", (event) => !host.contains(event.target) && this.close());
    host.addEventListener(
      "focusout",
      (event) => event.relatedTarget && !host.contains(event.relatedTarget) && this.close(),
    );
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) {
        event.preventDefault();
        this.open();
      }
    });
  }

  /** `sites`: [{name, title, region, country, peakW}]; the fleet total stands first. */
  set(sites, fleet, current) {
    const all = { name: null, title: `All ${sites.length} sites`, note: fleet, words: `all fleet total ${fleet}` };
    this.all = [
      all,
      ...sites.map((s) => ({
        ...s,
        note: `${region(s)}${format.mw(s.peakW)} MW`,
        words: `${s.name} ${s.title} ${s.region} ${s.country}`,
      })),
    ];
    this.current = current;
    const chosen = this.all.find((option) => option.name === current) ?? all;
    show(this.button, el("span", {}, chosen.title), el("span", { class: "chevron", "aria-hidden": "true" }));
    this.button.setAttribute("aria-label", `${chosen.title}: pick a site`);
    if (!this.popup.hidden) this.filter();
  }

  toggle() {
    if (this.popup.hidden) this.open();
    else this.close(true);
  }

  open() {
    this.popup.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.search.value = "";
    this.filter();
    this.search.focus();
  }

  close(backToButton = false) {
    if (this.popup.hidden) return;
    this.popup.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (backToButton) this.button.focus();
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.options = this.all.filter((option) => words.every((word) => option.words.toLowerCase().includes(word)));
    const chosen = this.options.findIndex((option) => option.name === this.current);
    this.active = words.length ? 0 : Math.max(0, chosen);
    this.draw();
  }

  draw() {
    const items = this.options.map((option, n) =>
      el(
        "li",
        {
          id: `site-option-${n}`,
          role: "option",
          "aria-selected": String(option.name === this.current),
          class: n === this.active ? "active" : "",
          onpointermove: () => this.active !== n && this.activate(n),
          onclick: () => this.pick(n),
        },
        el("span", { class: "picker-name" }, option.title),
        el("span", { class: "picker-note" }, option.note),
      ),
    );
    show(this.list, items.length ? items : el("li", { class: "none", role: "presentation" }, "No site matches"));
    this.activate(this.active, false);
  }

  activate(n, scroll = true) {
    this.active = n;
    [...this.list.children].forEach((item, at) => item.classList.toggle("active", at === n));
    if (this.options.length) this.search.setAttribute("aria-activedescendant", `site-option-${n}`);
    else this.search.removeAttribute("aria-activedescendant");
    if (scroll) this.list.children[n]?.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const last = this.options.length - 1;
    const to = {
      ArrowDown: Math.min(last, this.active + 1),
      ArrowUp: Math.max(0, this.active - 1),
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined && last >= 0) {
      event.preventDefault();
      this.activate(to);
    } else if (event.key === "Enter" && last >= 0) {
      event.preventDefault();
      this.pick(this.active);
    } else if (event.key === "Escape") {
      this.close(true);
    }
  }

  pick(n) {
    const { name } = this.options[n];
    this.close(true);
    this.onPick(name);
  }
}
