"""What a run stands on: what was asked, the series it was given, and the code that plans.

A run that is gone on with must be one run: its folder holds the digests of all three, written before its first step, and a run
that stands on anything else is refused in words. Comments count as code, for a digest of what code means would have to know it.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from models.base import Record
from models.digest import digest
from scenarios.backtest.history import History
from scenarios.backtest.records import BacktestSpec
from scenarios.timed import Timed

ROOT = Path(__file__).parents[2]
PLANNING = ("models", "optimizer", "scenarios")
"""The packages whose code makes or values a plan."""
FILE, LOCK = "stands_on.json", "lock"


class OtherRunError(ValueError):
    """A folder holds a run that was asked otherwise, or stands on other data or other code."""


class BusyError(ValueError):
    """Another process plays in a folder at this moment."""


class StandsOn(Record):
    """Digests of a specification, of a history, and of the code that plans."""

    spec: str
    data: str
    code: str


def stands_on(spec: BacktestSpec, history: History) -> StandsOn:
    """Return what a run of a specification over a history stands on, by the code of this process."""
    return StandsOn(spec=digest_of(spec), data=data_digest(history), code=code_digest())


def digest_of(spec: BacktestSpec) -> str:
    """Return what names a specification, whoever is compared and whatever it is called."""
    return digest(spec.model_dump(mode="json", exclude={"name", "title", "policies"}))


def data_digest(history: History) -> str:
    """Return the digest of what came and of all that was known when."""
    found = hashlib.sha256(f"{history.problem.digest} {history.steps} {history.scored}".encode())
    for name, one in _series(history):
        found.update(f"{name} {one.unit} {one.zone} {one.step_s} {one.currency}".encode())
        for array in (one.starts_s, one.known_s, one.values):
            found.update(array.tobytes())
    return "sha256:" + found.hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return the digest of the code that plans, as it was when this process first asked."""
    return digest_of_code()


def digest_of_code(root: Path = ROOT) -> str:
    """Return the digest of the planning packages below a folder: names and contents of their modules."""
    found = hashlib.sha256()
    for file in sorted(file for package in PLANNING for file in (root / package).rglob("*.py")):
        found.update(f"{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return "sha256:" + found.hexdigest()


@contextmanager
def claimed(folder: Path, now: StandsOn) -> Iterator[None]:
    """Hold a policy's folder for a run alone while it is played.

    Raises:
        BusyError: another process plays in it.
        OtherRunError: what is done there stands on something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{folder}: another process plays in it; wait for its end, or take another folder") from None
        _claim(folder, now)
        yield


def _claim(folder: Path, now: StandsOn) -> None:
    file = folder / FILE
    if file.exists():
        try:
            known = StandsOn.model_validate_json(file.read_text())
        except ValueError:
            raise OtherRunError(f"{file}: expected what a run stands on, got no such record; take another folder") from None
        if known != now:
            raise OtherRunError(_words(folder, known, now))
        return
    if any((folder / name).exists() for name in ("steps.jsonl", "result.json")):
        raise OtherRunError(f"{folder}: does not say on which data and code its run stands; take another folder")
    fresh = file.with_suffix(".new")
    fresh.write_text(now.model_dump_json())
    fresh.replace(file)


def _series(history: History) -> Iterator[tuple[str, Timed]]:
    yield from sorted(history.past.items())
    if (network := history.network) is not None:
        yield from ((name, getattr(network, name)) for name in ("price_usd", "height_blocks", "fees_btc", "difficulty"))


def _words(folder: Path, known: StandsOn, now: StandsOn) -> str:
    called = {"spec": "another specification", "data": "other data", "code": "other planning code"}
    found = [
        f"{words} ({getattr(known, name)[:19]}…, now {getattr(now, name)[:19]}…)"
        for name, words in called.items()
        if getattr(known, name) != getattr(now, name)
    ]
    return f"{folder}: its run stands on {' and '.join(found)}; runs are not mixed: take another folder"
