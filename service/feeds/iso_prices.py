"""Day-ahead and real-time prices of the ISOs of the USA, through the library gridstatus.

The library runs in a child process with the Python that `python` names, a virtual environment of its own:
`python3 -m venv gridstatus && gridstatus/bin/pip install gridstatus`. It answers in lines of JSON
(`gridstatus_child.py`), within a time and a size. Local days of the day-ahead market are counted: 23, 24 or 25 hours.
The operators of the markets have terms of their own for their data; whoever configures a feed answers for them.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any, Literal, cast

from annotated_types import Ge, Le, Len
from pydantic import ValidationError

from models.base import Instant, Name, Record
from models.reading import BadInputError, parse_json, refusals
from models.time_grid import LocalDays, local_date
from service.feeds.told import Batch, FeedError, FeedSettings, SecretName, Told, secret
from service.series_intake import Sample
from service.series_keeping import SeriesIn

RESOLUTION_S = {"DAY_AHEAD_HOURLY": 3_600, "REAL_TIME_HOURLY": 3_600, "REAL_TIME_15_MIN": 900, "REAL_TIME_5_MIN": 300}
KEYS = {"pjm": "PJM_API_KEY"}
"""Where the library looks for a key."""
INSTALL = "install it: python3 -m venv gridstatus && gridstatus/bin/pip install gridstatus; then name gridstatus/bin/python"
ZONES = {
    "ercot": "America/Chicago", "caiso": "America/Los_Angeles", "pjm": "America/New_York", "miso": "Etc/GMT+5",
    "nyiso": "America/New_York", "isone": "America/New_York", "spp": "America/Chicago",
}  # fmt: skip
"""Zones in which the markets' days are counted; MISO keeps Eastern standard time all year."""
_CHILD = Path(__file__).with_name("gridstatus_child.py")


class _Row(Record):
    """One price as the child tells it."""

    location: str
    start: Instant
    end: Instant
    usd_per_mwh: float


class IsoPrices(FeedSettings):
    """Prices of one market; `locations` maps the operator's names to the indexes that contracts name."""

    kind: Literal["iso_prices"]
    iso: Literal["ercot", "caiso", "pjm", "miso", "nyiso", "isone", "spp"]
    market: Literal["DAY_AHEAD_HOURLY", "REAL_TIME_HOURLY", "REAL_TIME_15_MIN", "REAL_TIME_5_MIN"]
    locations: Annotated[dict[str, Name], Len(1, 100)]
    python: str
    """The Python in which gridstatus is installed."""
    key_env: SecretName | None = None
    floor: float | None = None
    cap: float | None = None
    total_s: Annotated[float, Ge(1), Le(300)] = 90.0
    max_bytes: Annotated[int, Ge(1_000), Le(64 * 1024 * 1024)] = 8 * 1024 * 1024

    @property
    def series(self) -> tuple[str, ...]:
        """Names of what is told: the feed's, and the index's."""
        return tuple(f"{self.name}.{index}" for index in self.locations.values())

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Ask for the days that matter: of the day-ahead market today and tomorrow, of others the day so far."""
        today = local_date(ZONES[self.iso], now)
        if self.market == "DAY_AHEAD_HOURLY":
            days = [today, today + timedelta(days=1)]
        else:
            days = sorted({local_date(ZONES[self.iso], now - timedelta(hours=1)), today})
        rows, version = self._rows(days, environment)
        found = [self._told(location, rows, now, today, version) for location in self.locations]
        return [Batch(f"{self.iso} {self.market}", tuple(found))]

    def _told(self, location: str, rows: Sequence[_Row], now: datetime, today: date, version: str) -> Told:
        own = [row for row in rows if row.location == location]
        if not own:
            raise FeedError(f"{self.iso} {self.market} tells no price of {location}")
        resolution_s = RESOLUTION_S[self.market]
        for row in own:
            if row.end - row.start != timedelta(seconds=resolution_s):
                raise FeedError(f"{location}: an interval lasts {row.end - row.start}, expected {resolution_s} s")
        if now - own[-1].end > timedelta(seconds=self.stale_after_s):
            raise FeedError(f"{location}: the newest interval ends {own[-1].end:%Y-%m-%dT%H:%MZ}: the source stands still")
        zone = ZONES[self.iso]
        days = None
        if self.market == "DAY_AHEAD_HOURLY":
            last = local_date(zone, own[-1].start)
            days = LocalDays(zone=zone, first=today, days=max(1, (last - today).days + 1))
        index = self.locations[location]
        declared = self.declared(
            f"{self.name}.{index}", "price", index, "USD/MWh", f"{self.iso} {self.market} {location} through gridstatus",
            resolution_s=resolution_s, zone=zone, floor=self.floor, cap=self.cap,
        )  # fmt: skip
        points = tuple(Sample(start=row.start, value=row.usd_per_mwh) for row in own)
        content = SeriesIn(declaration=declared, known_at=now, local_days=days, points=points)
        return Told(declared.name, content, {"asked": f"{self.iso} {self.market} {location}", "gridstatus": version,
                                             "licence": self.licence})  # fmt: skip

    def _rows(self, days: Sequence[date], environment: Mapping[str, str]) -> tuple[list[_Row], str]:
        asked = {
            "iso": self.iso, "market": self.market, "days": [day.isoformat() for day in days],
            "locations": list(self.locations),
        }  # fmt: skip
        passed = {name: environment[name] for name in ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE") if name in environment}
        if self.key_env is not None:
            passed[KEYS.get(self.iso, self.key_env)] = secret(environment, self.key_env)
        rows: list[_Row] = []
        for line in self._lines(json.dumps(asked).encode() + b"\n", passed):
            content = _object(line)
            if "failed" in content:
                absent = f"gridstatus is not installed in {self.python}; {INSTALL}" if content["failed"] == "absent" else None
                raise FeedError(absent or f"{self.iso} {self.market}: {content.get('words')}")
            if "done" in content:
                if content["done"] != len(rows):
                    raise FeedError(f"the child told {len(rows)} rows and says {content['done']}")
                return rows, str(content.get("version"))
            rows.append(_row(content.get("row")))
        raise FeedError("the child ended in the middle of its answer")

    def _lines(self, question: bytes, environment: Mapping[str, str]) -> list[bytes]:
        """Run the child within its time and size and return its lines; nothing of it is left."""
        try:
            child = subprocess.Popen(
                [self.python, "-I", str(_CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=dict(environment), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise FeedError(f"python {self.python}: {error.strerror or error}; {INSTALL}") from None
        sent, told = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
        try:
            with suppress(BrokenPipeError):
                sent.write(question)
                sent.flush()  # and left open: the child ends when it closes, which is with us
            return _until_end(told.fileno(), time.monotonic() + self.total_s, self.total_s, self.max_bytes).splitlines()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            for pipe in (sent, told):
                with suppress(BrokenPipeError):
                    pipe.close()


def _until_end(pipe: int, deadline: float, total_s: float, cap: int) -> bytes:
    said = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while ready.select(max(0.0, deadline - time.monotonic())):
            piece = os.read(pipe, 65_536)
            if not piece:
                return bytes(said)
            said += piece
            if len(said) > cap:
                raise FeedError(f"gridstatus told more than {cap} bytes")
    raise FeedError(f"gridstatus took longer than {total_s:g} s")


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = parse_json(line)
    except BadInputError as error:
        raise FeedError(f"the child tells what is no JSON: {error.refusals[0].detail}") from None
    if not isinstance(content, dict):
        raise FeedError("the child tells what is no object")
    return content


def _row(cells: Any) -> _Row:
    if not isinstance(cells, list) or len(cells) != 4:
        raise FeedError(f"expected [location, start, end, price], got {str(cells)[:80]}")
    try:
        return _Row.model_validate(dict(zip(_Row.model_fields, cells, strict=True)))
    except ValidationError as error:
        raise FeedError(f"a row is refused: {refusals(error)[0].detail}") from None
