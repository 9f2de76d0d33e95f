"""A folder into which others put files of series: JSON as the API takes it, CSV `start,value`, or Parquet.

A file's name says which series it is of, up to the first two underscores: `price.west.csv`, `price.west__2026-11-22.json`.
Put files there under a name that begins with a dot or ends with `.part`, and rename them when they are whole; a file that
is not renamed is read once its size and time have rested. What was kept moves to `processed/`, what was refused to
`refused/` with its reasons beside it (`….why`). A CSV was told when the file was last written.
"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from models.base import iso
from models.reading import BadInputError, Refusal, parse, parse_json, refuse
from service.feeds.told import Batch, FeedError, FeedSettings, Told
from service.http.problems import PLAIN_CODES
from service.series_csv import read_csv
from service.series_keeping import SeriesIn
from service.series_parquet import ParquetAbsentError, read_parquet
from service.store.series_records import SeriesDeclaration

FORMATS = (".json", ".csv", ".parquet")
UNFINISHED = (".part", ".tmp", ".partial", ".why")
MOST_AT_ONCE = 50


class DropFolder(FeedSettings):
    """A folder of files; `declarations` are those of series that come as CSV and are not known yet."""

    kind: Literal["drop_folder"]
    every_s: Annotated[int, Ge(5), Le(86_400)] = 30
    folder: str
    declarations: tuple[SeriesDeclaration, ...] = ()
    rest_s: Annotated[float, Ge(0), Le(3_600)] = 5.0
    """How long a file must not have changed before it is read."""
    max_bytes: Annotated[int, Ge(1_000), Le(64 * 1024 * 1024)] = 16 * 1024 * 1024

    @property
    def series(self) -> tuple[str, ...]:
        """Names of what is declared here; files may tell of others."""
        return tuple(declaration.name for declaration in self.declarations)

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Read what has come, oldest first; a file that cannot be read is a batch of refusals, and stops no other."""
        folder = Path(self.folder)
        try:
            entries = sorted(
                (found for path in folder.iterdir() if (found := _entry(path))), key=lambda e: (e.written_at, e.path)
            )
        except OSError as error:
            raise FeedError(f"folder {self.folder}: {error.strerror or error}") from None
        rested = [entry for entry in entries if now - entry.written_at >= timedelta(seconds=self.rest_s)]
        return [batch for entry in rested[:MOST_AT_ONCE] if (batch := self._batch(entry, now))]

    def _batch(self, entry: "_Entry", now: datetime) -> Batch | None:
        name = entry.shown.partition("__")[0] if "__" in entry.shown else Path(entry.shown).stem

        def settle(refusals: Sequence[Refusal]) -> None:
            _move(entry, now, refusals)

        try:
            raw = _read(entry, self.max_bytes)
            if raw is None:
                return None  # it is still being written
            told = Told(name, parse(SeriesIn, self._content(entry, name, raw)), {"file": entry.shown, "licence": self.licence})
        except BadInputError as error:
            return Batch(entry.shown, refusals=tuple(error.refusals), settle=settle, news_only=False)
        except ParquetAbsentError as error:
            raise FeedError(f"{entry.shown}: {error}") from None
        return Batch(entry.shown, (told,), settle=settle, news_only=False)

    def _content(self, entry: "_Entry", name: str, raw: bytes) -> Any:
        suffix = entry.path.suffix.lower()
        if suffix not in FORMATS:
            refuse("unsupported_media_type", f"expected a name that ends with {', '.join(FORMATS)}")
        if suffix == ".parquet":
            return read_parquet(raw, {})
        if suffix == ".json":
            return parse_json(raw)
        content = read_csv(raw, {"known_at": iso(entry.written_at.replace(microsecond=0))})
        declared = next((d for d in self.declarations if d.name == name), None)
        return content | ({"declaration": declared.model_dump(mode="json")} if declared else {})


@dataclass(frozen=True)
class _Entry:
    """A file as it was seen: what identifies it, its size, and when it was last written."""

    path: Path
    mark: tuple[int, int, int, int]
    written_at: datetime

    @property
    def shown(self) -> str:
        """Its name as text: names in another encoding than UTF-8 hold bytes that are no characters."""
        return os.fsencode(self.path.name).decode(errors="backslashreplace")


def _entry(path: Path) -> _Entry | None:
    """Return a regular file that claims to be whole; links are not followed out of the folder."""
    if path.name.startswith(".") or path.name.lower().endswith(UNFINISHED):
        return None
    try:
        found = path.lstat()
    except OSError:
        return None  # it was taken away in between
    if not stat.S_ISREG(found.st_mode):
        return None
    return _Entry(path, _mark(found), datetime.fromtimestamp(found.st_mtime, UTC))


def _mark(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _read(entry: _Entry, max_bytes: int) -> bytes | None:
    """Return the bytes of a file, or None where it changed while it was read.

    Raises:
        BadInputError: it is too large, or it may not be read.
    """
    if entry.mark[2] > max_bytes:
        refuse("too_large", f"expected at most {max_bytes} bytes, got {entry.mark[2]}")
    try:
        with os.fdopen(os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            raw = file.read(max_bytes + 1)
            return raw if _mark(os.fstat(file.fileno())) == entry.mark and len(raw) == entry.mark[2] else None
    except FileNotFoundError:
        return None  # it was taken away in between
    except OSError as error:
        refuse("unreadable", f"it cannot be read: {error.strerror or error}")


def _move(entry: _Entry, now: datetime, refusals: Sequence[Refusal]) -> None:
    """Put a file that is dealt with out of the way, unless another one has taken its name since."""
    try:
        if _mark(entry.path.lstat()) != entry.mark:
            return
        into = entry.path.parent / ("refused" if refusals else "processed")
        into.mkdir(exist_ok=True)
        there = into / f"{now:%Y%m%dT%H%M%SZ}-{entry.path.name}"
        for number in range(2, 1_000):
            if not there.exists():
                break
            there = into / f"{now:%Y%m%dT%H%M%SZ}-{number}-{entry.path.name}"
        if refusals:
            errors = [refusal.model_dump() | {"code": PLAIN_CODES.get(refusal.code, refusal.code)} for refusal in refusals]
            why = {"file": entry.shown, "at": iso(now), "errors": errors}
            there.with_name(f"{there.name}.why").write_text(json.dumps(why, indent=2, ensure_ascii=False) + "\n")
        entry.path.rename(there)
    except OSError as error:
        raise FeedError(f"{entry.shown} cannot be moved: {error.strerror or error}") from None
