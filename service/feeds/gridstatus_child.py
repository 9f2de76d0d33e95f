"""Asks gridstatus for prices, in a process of its own: it is heavy, and holds a version of pandas that nothing else wants.

A program by itself, run by the Python in which gridstatus is installed. It reads one line of JSON: `{"iso", "market",
"days": ["2026-11-22", …], "locations": […]}`, and writes lines of JSON: `{"row": [location, start, end, price]}` each, then
`{"done": rows, "version": …}`, or `{"failed": code, "words": …}`. What comes without `done` is cut off.
"""

import json
import os
import sys
import threading
import warnings
from typing import Any

ISOS = {"ercot": "Ercot", "caiso": "CAISO", "pjm": "PJM", "miso": "MISO", "nyiso": "NYISO", "isone": "ISONE", "spp": "SPP"}
"""Markets that settle in USD; those that do not would need an exchange rate."""


def main() -> None:
    """Answer the one question."""
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the library prints is no answer of ours
    warnings.simplefilter("ignore")

    def say(**words: Any) -> None:
        lines.write(json.dumps(words) + "\n")
        lines.flush()

    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        import gridstatus  # type: ignore[import-not-found]  # it is never installed where types are checked
    except ImportError as error:
        say(failed="absent", words=str(error))
        return
    try:
        rows = 0
        for day in asked["days"]:
            for row in prices(gridstatus, asked, day):
                say(row=row)
                rows += 1
        say(done=rows, version=str(gridstatus.__version__))
    except Exception as error:  # whatever it is, the parent hears of it in words
        say(failed="source", words=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _end_with_parent() -> None:
    """End when the parent does, whatever the library is doing: its end of the pipe closes then."""
    sys.stdin.read()
    os._exit(1)


def prices(gridstatus: Any, asked: dict[str, Any], day: str) -> list[list[Any]]:
    """Return [location, start, end, price] of one day; nothing where the day is not published yet."""
    iso = getattr(gridstatus, ISOS[asked["iso"]])()
    market = getattr(gridstatus.Markets, asked["market"])
    wanted = asked["locations"]
    try:
        if hasattr(iso, "get_spp"):
            table = iso.get_spp(day, market=market, locations=wanted)
        elif hasattr(iso, "get_lmp"):  # PJM knows places by number; its hubs are all that it is asked for
            table = iso.get_lmp(day, market=market, locations="hubs" if asked["iso"] == "pjm" else wanted)
        else:
            name = f"get_lmp_{asked['market'].lower()}"
            table = getattr(iso, name, None) or getattr(iso, f"{name}_by_location")
            table = table(day)
    except Exception as error:  # the library's own class of no data is imported nowhere else
        if type(error).__name__ == "NoDataFoundException" and day != asked["days"][0]:
            return []
        raise
    named = "Location" if "Location" in table.columns else "Location Name"
    table = table[table[named].isin(wanted)].sort_values([named, "Interval Start"])
    price = "SPP" if "SPP" in table.columns else "LMP"
    columns = (table[name] for name in (named, "Interval Start", "Interval End", price))
    return [[str(where), start.isoformat(), end.isoformat(), float(usd)] for where, start, end, usd in zip(*columns, strict=True)]


if __name__ == "__main__":
    main()
    os._exit(0)  # the thread that waits for the parent's end would hold up an ordinary one
