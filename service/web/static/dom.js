// Small builders for HTML and SVG. Text goes in as text nodes only: nothing here parses markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const $ = (id) => document.getElementById(id);

/** Put new content in place of the old; keeps the scroll position of what stays. */
export function show(node, ...children) {
  node.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
}

/** As `show`; who was on a control or a link in it stays on the one of the same name or address, else on the node. */
export function redraw(node, ...children) {
  const at = document.activeElement;
  const held = node.contains(at) && at !== node;
  const [kind, value] = at?.name ? ["name", at.name] : ["href", at?.getAttribute("href")];
  show(node, ...children);
  if (!held) return;
  const same = value && node.querySelector(`[${kind}="${CSS.escape(value)}"]`);
  (same || node).focus({ preventScroll: true });
}

/** An exact figure under a rounded one: machines read the value, people the text. */
export const data = (value, text) => el("data", { value: String(value) }, text);

export const headings = (...names) =>
  el(
    "thead",
    {},
    el(
      "tr",
      {},
      names.map((name) => el("th", { scope: "col" }, name)),
    ),
  );

/** A labelled control with a hint below it. */
export function field(label, control, note) {
  const id = `field-${control.name}`;
  control.id = id;
  if (note !== undefined) control.setAttribute("aria-describedby", `${id}-note`);
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, label),
    control,
    note !== undefined && el("small", { id: `${id}-note` }, note),
  );
}

export const hint = (control, text) => show($(`${control.id}-note`), text);
