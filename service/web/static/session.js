// Who is signed in, and the way in and out: the same on every page.

import { Problem, write } from "./api.js";
import { el, show } from "./dom.js";
import { SignIn } from "./sign-in.js";

export class Session {
  /** `onChange` is called when somebody has signed in or out. */
  constructor(host, dialog, onChange) {
    Object.assign(this, { host, onChange, dialog: new SignIn(dialog, onChange) });
  }

  /** `who`: as `/v1/now` tells it, or null. */
  draw(who) {
    const words = `${who?.role}`;
    if (this.words === words) return; // keeps the focus where it is
    this.words = words;
    show(
      this.host,
      who
        ? [
            el("span", { class: "who" }, who.role),
            el("button", { type: "button", class: "quiet", onclick: () => this.signOut() }, "Sign out"),
          ]
        : el("button", { type: "button", class: "quiet", onclick: () => this.signIn() }, "Sign in"),
    );
  }

  signIn(how) {
    this.dialog.open(how);
  }

  async signOut() {
    await write("/sign-out", {}).catch((error) => {
      if (!(error instanceof Problem)) throw error; // who cannot be reached is told so by the next look
    });
    this.onChange();
  }
}
