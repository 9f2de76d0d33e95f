// One change of a what-if in the form: its fields, and what the service says of it. The page joins the fields to the text
// that `set` takes; whether that can be read, and what it means, is the service's word.

import { el, field, hint, show } from "./dom.js";
import { quantityName } from "./words.js";

/** Which field a fault is of, by its code; the others are of the value. */
const FIELD = { patch_quantity: "quantity", patch_name: "name", patch_window: "from" };

let made = 0;

export class Change {
  /** `quantities`: what of the latest problem can be changed, as the service lists it. */
  constructor(quantities, { onRemove, onEdit }) {
    const n = (made += 1);
    this.quantities = new Map(quantities.map((each) => [each.quantity, each]));
    this.quantity = el(
      "select",
      { name: `quantity-${n}`, onchange: () => (this.fit(), onEdit()) },
      quantities.map(({ quantity }) => el("option", { value: quantity }, quantityName(quantity))),
    );
    const text = (name, more) =>
      el("input", { name: `${name}-${n}`, type: "text", autocomplete: "off", onchange: onEdit, ...more });
    this.name = text("name", { list: `names-${n}`, maxlength: 100 });
    this.value = text("value", { required: true, maxlength: 60 });
    this.from = text("from", { inputmode: "decimal", maxlength: 8, placeholder: "first" });
    this.to = text("to", { inputmode: "decimal", maxlength: 8, placeholder: "last" });
    this.names = el("datalist", { id: `names-${n}` });
    this.said = el("p", { class: "said", id: `said-${n}`, "aria-live": "polite" });
    this.of = field("Of", this.name, "");
    this.hours = el(
      "div",
      { class: "hours" },
      field("From hour", this.from, undefined),
      field("to hour", this.to, undefined),
    );
    this.legend = el("legend", {});
    this.remove = el("button", { type: "button", class: "quiet", onclick: () => onRemove(this) }, "Remove");
    this.node = el(
      "fieldset",
      { class: "change" },
      this.legend,
      field("Quantity", this.quantity),
      this.of,
      field("Value", this.value, ""),
      this.hours,
      this.said,
      this.remove,
      this.names,
    );
  }

  /** Stand in the form; hints need their place in the page. */
  enter(list) {
    list.append(this.node);
    this.fit();
  }

  /** The fields and hints that hang on the quantity. */
  fit() {
    const known = this.quantities.get(this.quantity.value);
    const named = !known || known.names.length > 0;
    this.of.hidden = !named;
    if (!named) this.name.value = "";
    show(
      this.names,
      [...(known?.regions ?? []), ...(known?.names ?? [])].map((name) => el("option", { value: name })),
    );
    hint(this.name, `A name${known?.regions.length ? " or a region" : ""}; * stands for any letters.`);
    this.name.placeholder = "all";
    this.value.placeholder = known?.example.value ?? "";
    hint(this.value, known ? [`${known.expected}; such as `, el("code", {}, known.example.value)] : "");
    this.hours.hidden = known?.in_hours === false;
    if (this.hours.hidden) this.from.value = this.to.value = "";
    this.hush();
  }

  /** Fill the fields with a change as the service reads it. */
  fill(change) {
    if (!this.quantities.has(change.quantity))
      this.quantity.append(el("option", { value: change.quantity }, quantityName(change.quantity)));
    this.quantity.value = change.quantity;
    this.fit();
    this.name.value = change.name ?? "";
    this.value.value = change.value;
    this.from.value = change.from_h ?? "";
    this.to.value = change.to_h ?? "";
  }

  /** The change as it is written, or null while it has no value yet. */
  get text() {
    const [name, from, to, value] = [this.name, this.from, this.to, this.value].map((field) => field.value.trim());
    if (!value) return null;
    const hours = from || to ? `@${from}..${to}` : "";
    return `${this.quantity.value}${name ? `[${name}]` : ""}${hours}${value.startsWith(":=") ? "" : "="}${value}`;
  }

  /** What the service says that the change means. */
  means(words) {
    this.hush();
    show(this.said, words);
  }

  /** A fault of the change, at the field that it is of. */
  fault({ code, detail }) {
    this.hush();
    const wrong = this[FIELD[code] ?? "value"];
    this.wrong = wrong.closest("[hidden]") ? this.value : wrong;
    this.wrong.setAttribute("aria-invalid", "true");
    this.wrong.setAttribute("aria-errormessage", this.said.id);
    this.said.classList.add("fault");
    show(this.said, detail);
  }

  hush() {
    this.wrong?.removeAttribute("aria-invalid");
    this.wrong?.removeAttribute("aria-errormessage");
    this.wrong = null;
    this.said.classList.remove("fault");
    show(this.said);
  }
}
