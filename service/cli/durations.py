"""Time spans and instants as people type them."""

import re
from datetime import UTC, datetime, timedelta

import typer

_SPAN = re.compile(r"P?(?:T?(?=\d))(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S?)?", re.IGNORECASE)

_SAID = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hours?)", re.IGNORECASE)
_S_OF = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """Return the seconds of a time span such as PT120S, 2min or 2 minutes; a bare number is seconds."""
    if said := _SAID.fullmatch(text.strip()):
        return float(said["number"]) * _S_OF[said["unit"][0].lower()]
    found = _SPAN.fullmatch(text.strip())
    if not found or not any(found.groupdict().values()):
        raise typer.BadParameter(f"expected a time span such as PT120S, 120s or 2min, got {text!r}")
    return 3600 * int(found["h"] or 0) + 60 * int(found["m"] or 0) + float(found["s"] or 0)


def instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 text with offset, of the word `now`, or of a time span from now on such as +12h."""
    if text == "now" or text.startswith("+"):
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds(text[1:]) if text != "now" else 0)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"expected an instant such as 2026-11-22T08:00:00Z, now or +12h, got {text!r}") from None
    if found.tzinfo is None:
        example = f"{found:%Y-%m-%dT%H:%M}Z"
        raise typer.BadParameter(f"expected an instant with an offset, such as {example} or {example[:-1]}-06:00, got {text!r}")
    return found.astimezone(UTC)
