"""Shares and megawatts as people type them."""

import re

import typer

_NUMBER = r"\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*"
_SHARE = re.compile(rf"{_NUMBER}(?P<unit>%?)\s*", re.IGNORECASE)
_POWER = re.compile(rf"{_NUMBER}(?P<unit>[kmg]?w)?\s*", re.IGNORECASE)
MW = {"": 1.0, "w": 1e-6, "kw": 1e-3, "mw": 1.0, "gw": 1e3}


def share(text: str | float) -> float:
    """Return a share of 0 to 1, typed as such or in per cent.

    Raises:
        typer.BadParameter: it is neither.
    """
    found = _SHARE.fullmatch(str(text))
    value = None if found is None else float(found["number"]) / (100 if found["unit"] else 1)
    if value is None or not 0 <= value <= 1:
        raise typer.BadParameter(f"expected a share from 0 to 1 such as 0.005, or 0.5%, got {text!r}")
    return value


def megawatts(text: str | float) -> float:
    """Return a power of 0 or more, typed in MW, or with its unit.

    Raises:
        typer.BadParameter: it is no such power.
    """
    found = _POWER.fullmatch(str(text))
    value = None if found is None else float(found["number"]) * MW[(found["unit"] or "").lower()]
    if value is None or value < 0:
        raise typer.BadParameter(f"expected megawatts such as 3 or 3.5, or a power with its unit such as 3500kW, got {text!r}")
    return value
