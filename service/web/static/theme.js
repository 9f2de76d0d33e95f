// Light, dark, or as the system has it; the choice stays on this machine.

const THEMES = { auto: "as the system", light: "light", dark: "dark" };

/** Make a button turn through the themes. */
export function theme(button) {
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    button.setAttribute("aria-label", `Colours: ${THEMES[name]}`);
    button.title = `Colours: ${THEMES[name]}`;
    localStorage.setItem("theme", name);
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    set(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]);
  });
  const kept = localStorage.getItem("theme");
  set(kept in THEMES ? kept : "auto");
}
