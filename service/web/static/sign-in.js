// Signing in: by the link that the service prints at its first start, or by a key, which is sent once and kept nowhere.

import { Problem, send, write } from "./api.js";
import { el, field, show } from "./dom.js";

const NEEDS =
  "Reading is open on this machine. Orders need an operator's session, what-ifs an operator's or a planner's.";

export class SignIn {
  constructor(dialog, onDone) {
    Object.assign(this, { dialog, onDone });
  }

  /** `spent`: whoever comes by a link that is known no more is told so. */
  open({ spent = false } = {}) {
    this.secret = el("input", { type: "password", name: "secret", required: true, autocomplete: "off" });
    this.result = el("div", { class: "result", role: "alert" });
    this.dialog.replaceChildren(
      el(
        "form",
        { method: "dialog", onsubmit: (event) => this.send(event) },
        el("h2", { id: "sign-in-title" }, "Sign in"),
        el("p", { class: "note" }, NEEDS),
        field("Key or one-time link", this.secret, [
          "The service prints both when it first starts; the key stays in the file ",
          el("code", {}, "operator.key"),
          " of its data folder.",
        ]),
        this.result,
        el(
          "div",
          { class: "buttons" },
          el("button", { type: "button", class: "quiet", onclick: () => this.dialog.close() }, "Close"),
          el("button", { type: "submit", class: "primary" }, "Sign in"),
        ),
      ),
    );
    if (spent) this.refuse("This link is not known any more: it was used before, or has run out.");
    this.dialog.showModal();
  }

  refuse(words) {
    this.result.className = "result refused";
    show(this.result, el("p", {}, words));
  }

  async send(event) {
    event.preventDefault();
    const secret = this.secret.value.trim();
    try {
      if (secret.startsWith("ws_")) await write("/sign-in", {}, { Authorization: `Bearer ${secret}` });
      else await followed(secret.split("token=").at(-1));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const words = "It is not known: incomplete, revoked, run out, or a link that was used before.";
      return this.refuse([401, 404].includes(error.status) ? words : error.message);
    }
    this.secret.value = "";
    this.dialog.close();
    this.onDone();
  }
}

async function followed(token) {
  const response = await send(`/sign-in?token=${encodeURIComponent(token)}`);
  if (!response.ok) throw new Problem(null, response.status);
}
