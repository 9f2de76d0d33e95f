// Signing in: `wattsplit serve` prints a link that works once; whoever has it on another screen can paste it here.

import { el, field, show } from "./dom.js";

export class SignIn {
  constructor(dialog, onDone) {
    Object.assign(this, { dialog, onDone });
  }

  open() {
    this.link = el("input", {
      type: "text",
      name: "link",
      required: true,
      autocomplete: "off",
      spellcheck: "false",
    });
    this.result = el("div", { class: "result", role: "alert" });
    this.dialog.replaceChildren(
      el(
        "form",
        { method: "dialog", onsubmit: (event) => this.send(event) },
        el("h2", { id: "sign-in-title" }, "Sign in"),
        el("p", { class: "note" }, "Reading is open on this machine. Orders need a session of an operator."),
        field("One-time link", this.link, [
          "The service prints one when it starts, and so does ",
          el("code", {}, "wattsplit key create"),
          ". It works once, for half an hour.",
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
    this.dialog.showModal();
  }

  async send(event) {
    event.preventDefault();
    const token = this.link.value.trim().split("token=").at(-1);
    const response = await fetch(`/sign-in?token=${encodeURIComponent(token)}`, { credentials: "same-origin" });
    if (!response.ok) {
      this.result.className = "result refused";
      return show(
        this.result,
        el("p", {}, "This link is not known: it was used before, has run out, or is not complete."),
      );
    }
    this.dialog.close();
    this.onDone();
  }
}
