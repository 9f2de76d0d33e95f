"""Draws the README's picture of the engine: from prices to a plan with its gap.

python docs/engine.py    writes docs/engine.svg beside this file
"""

from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT = 900, 330
LINE = 16
INK, SOFT, BLUE = "#222", "#555", "#0072B2"
PRICES, SITES, COUNTS = "#E8F1F8", "#FBF3E4", "#EAF5EC"


def main() -> None:
    """Write the picture."""
    parts = [
        *box(20, 92, 170, 96, PRICES, "master", "mixes what sites answer", "as shared rows allow;", "its duals are the prices"),
        *two_sites(300, SITES, "what it would do", "at the prices"),
        *two_sites(520, COUNTS, "whole numbers, near", "what was wanted"),
        *box(740, 92, 140, 96, PRICES, "whole model", "counts held, flows", "best possible:", "a plan"),
        *arrow("M190 122L298 104", "prices", 246, 100),
        *arrow("M298 176L190 160", "answers", 246, 188),
        *arrow("M450 104H518"),
        *arrow("M450 176H518"),
        *arrow("M670 104L738 126"),
        *arrow("M670 176L738 154"),
        *stage(210, "top: rounds, until the bound is tight"),
        *stage(595, "settle: each site alone"),
        *stage(810, "join: profit, gap"),
        *arrow("M810 252V286H595V256", "improve: the sites that lose most, harder each time", 690, 304, dashes=True),
        *box(20, 14, 170, 44, "#fff", "the plan before", "if there is one"),
        *arrow("M105 58V90", "its prices", 142, 78, dashes=True),
        *arrow("M190 36H595V66", "its counts, kept where they lose little", 400, 28, dashes=True),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12.5">'
    tip = (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L10 5L0 10z" fill="{BLUE}"/></marker></defs><rect width="100%" height="100%" fill="#fff"/>'
    )
    Path(__file__).with_suffix(".svg").write_text("\n".join([head, tip, *parts, "</svg>"]) + "\n")


def text(across: float, down: float, words: str, fill: str = SOFT, weight: str = "normal") -> str:
    """Return words in the middle of a place."""
    return f'<text x="{across:g}" y="{down:g}" text-anchor="middle" fill="{fill}" font-weight="{weight}">{words}</text>'


def box(left: float, top: float, width: float, height: float, fill: str, name: str, *words: str) -> list[str]:
    """Return a box with a name and what it does."""
    first = top + height / 2 - LINE * len(words) / 2 + 4
    lines = [text(left + width / 2, first + LINE * n, line) for n, line in enumerate(words, start=1)]
    frame = f'<rect x="{left}" y="{top}" width="{width}" height="{height}" rx="5" fill="{fill}" stroke="{SOFT}"/>'
    return [frame, text(left + width / 2, first, name, INK, "bold"), *lines]


def two_sites(left: float, fill: str, *words: str) -> list[str]:
    """Return boxes of two sites, and dots for the others."""
    boxes: Sequence[list[str]] = [box(left, 70 + 70 * n, 150, 64, fill, f"site {n + 1}", *words) for n in range(2)]
    return [*boxes[0], *boxes[1], text(left + 75, 220, "…")]


def stage(middle: float, words: str) -> list[str]:
    """Return the name of a stage below its boxes."""
    name, _, rest = words.partition(":")
    bold = f'<tspan font-weight="bold" fill="{INK}">{name}:</tspan>'
    return [text(middle, 246, bold + rest)]


def arrow(path: str, words: str = "", across: float = 0, down: float = 0, *, dashes: bool = False) -> list[str]:
    """Return an arrow, with words beside it where there are any."""
    style = ' stroke-dasharray="5 3"' if dashes else ""
    drawn = f'<path d="{path}" stroke="{BLUE}" fill="none" marker-end="url(#tip)"{style}/>'
    return [drawn, text(across, down, words, BLUE)] if words else [drawn]


if __name__ == "__main__":
    main()
