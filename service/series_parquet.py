"""Series as Parquet: columns start and value, and what JSON says beside its points in the file's metadata.

The metadata key `wattsplit` holds JSON: `declaration`, or `unit` and `zone` of a series that is known; `known_at`,
`local_days` and `end` as in JSON. A file is read in a child process with a cap on memory and time, for what it claims of
itself need not be true; writing needs no child.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from models.base import iso
from models.reading import BadInputError, Refusal, parse_json, refuse
from service.series_csv import in_rows
from service.series_intake import MAX_POINTS
from service.store.series_records import SeriesDeclaration, SeriesPoint

PARQUET = "application/vnd.apache.parquet"
KEY = "wattsplit"
MAX_UNPACKED_BYTES = 16 * 1024 * 1024
READ_WITHIN_S = 20.0
INSTALL = "Parquet needs pyarrow: install wattsplit[parquet]"
_CHILD = Path(__file__).with_name("parquet_child.py")
_SAID = ("declaration", "unit", "zone", "known_at", "local_days", "end")


class ParquetAbsentError(Exception):
    """This installation has no pyarrow; the message says what to install."""


def by_row(refusals: Iterable[Refusal]) -> list[Refusal]:
    """Return the refusals of a file, with the row of each, the first row being 1."""
    return in_rows(refusals, "row", 1)


def read_parquet(raw: bytes, query: Mapping[str, str]) -> dict[str, Any]:
    """Return what a file holds, as JSON would say it; `known_at` and `end` may be in the query instead.

    Raises:
        BadInputError: not Parquet, too large, columns of other names or types, nulls, or no declared unit and zone.
        ParquetAbsentError: pyarrow is not installed.
    """
    found = _in_child(raw)
    if "absent" in found:
        raise ParquetAbsentError(INSTALL)
    if faults := found.get("refusals"):
        raise BadInputError([Refusal(**fault) for fault in faults])
    try:
        said = parse_json(found["metadata"].get(KEY, "{}").encode())
    except BadInputError as error:
        raise BadInputError([r.model_copy(update={"pointer": f"/metadata/{KEY}{r.pointer}"}) for r in error.refusals]) from None
    if not isinstance(said, dict):
        refuse("wrong_shape", f"expected an object under the metadata key {KEY}", f"/metadata/{KEY}")
    if unknown := sorted(set(said) - set(_SAID)):
        refuse("unknown_field", f"expected {', '.join(_SAID)}, got {unknown[0][:100]}", f"/metadata/{KEY}/{unknown[0][:100]}")
    for part in ("unit", "zone"):
        if "declaration" not in said and part not in said:
            refuse("missing_field", f"the file's metadata declares no {part} under the key {KEY}", f"/metadata/{KEY}/{part}")
    rows = zip(found["columns"]["start"], found["columns"]["value"], strict=True)
    content = said | {"points": [{"start": start, "value": value} for start, value in rows]}
    return content | {name: query[name] for name in ("known_at", "end") if name in query}


def _in_child(raw: bytes) -> dict[str, Any]:
    command = [sys.executable, "-I", str(_CHILD), str(MAX_POINTS), str(MAX_UNPACKED_BYTES)]
    try:
        done = subprocess.run(command, input=raw, capture_output=True, timeout=READ_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        refuse("malformed_parquet", f"could not be read within {READ_WITHIN_S:g} s")
    if done.returncode != 0:  # it was killed, or ran out of memory, by what it read
        refuse("malformed_parquet", f"could not be read within the memory allowed (exit {done.returncode})")
    found: dict[str, Any] = parse_json(done.stdout)
    return found


def write_parquet(declaration: SeriesDeclaration, points: Sequence[SeriesPoint], known_by: datetime | None) -> bytes:
    """Return points as a file: start, value, known_at, flags; the declaration is in its metadata.

    Raises:
        ParquetAbsentError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ParquetAbsentError(INSTALL) from None
    instants = pa.timestamp("us", tz="UTC")
    table = pa.table({
        "start": pa.array([p.start for p in points], instants), "value": pa.array([p.value for p in points], pa.float64()),
        "known_at": pa.array([p.known_at for p in points], instants),
        "flags": pa.array([" ".join(p.flags) for p in points], pa.string()),
    })  # fmt: skip
    newest = max((p.known_at for p in points), default=known_by)
    said = {"declaration": declaration.model_dump(mode="json")} | ({"known_at": iso(newest)} if newest else {})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({KEY: json.dumps(said)}), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
