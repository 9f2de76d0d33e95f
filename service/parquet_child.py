"""Reads a Parquet file that a stranger sent, in a process of its own: what it claims of its size need not be true.

A program by itself: `python parquet_child.py MAX_ROWS MAX_BYTES < file`. It writes one line of JSON: `{"metadata": …,
"columns": {…}}`, or `{"refusals": [{pointer, code, detail}, …]}`, or `{"absent": …}` where pyarrow is not installed. Numbers
are written as JSON writes them; what is not finite, or null, is refused by row. Whoever starts it caps its time.
"""

import json
import math
import os
import resource
import sys
from typing import Any

MEMORY_BYTES = 1536 * 1024 * 1024
"""Address space of the process; pyarrow by itself maps about half of it. [bytes]"""
MOST_TOLD = 200
COLUMNS = {"start": "a timestamp with a time zone", "value": "float64, float32 or an integer"}
ALSO = ("known_at", "flags")
"""What our own exports have beside; `known_at` of a file is one for all, in its metadata."""

Refusals = list[dict[str, str]]


def fault(pointer: str, code: str, detail: str) -> dict[str, str]:
    """Return one fault as refusals are written."""
    return {"pointer": pointer, "code": code, "detail": detail}


def read(raw: bytes, max_rows: int, max_bytes: int) -> dict[str, Any]:
    """Return metadata and columns of a file, or what is wrong with it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        faults = claims(file, max_rows, max_bytes)
        if not faults:
            faults = types(file.schema_arrow, pa)
        if faults:
            return {"refusals": faults}
        table = file.read(columns=list(COLUMNS), use_threads=False)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        return {"refusals": [fault("", "malformed_parquet", f"not a Parquet file that can be read: {words}")]}
    if table.num_rows != file.metadata.num_rows:
        return {"refusals": [fault("", "malformed_parquet", f"claims {file.metadata.num_rows} rows, holds {table.num_rows}")]}
    metadata = {k.decode(errors="replace"): v.decode(errors="replace") for k, v in (file.schema_arrow.metadata or {}).items()}
    columns, faults = {}, []
    for name, kind in (("start", pa.timestamp("us", tz="UTC")), ("value", pa.float64())):
        try:
            columns[name] = table.column(name).cast(kind).to_pylist()
        except (pa.ArrowException, OverflowError, ValueError) as error:
            words = " ".join(str(error).split())[:200]
            faults.append(fault(f"/columns/{name}", "out_of_range", f"column {name} holds what {kind} cannot: {words}"))
    if faults:
        return {"refusals": faults}
    starts, values = columns["start"], columns["value"]
    faults = cells(starts, values)
    if faults:
        return {"refusals": faults}
    return {"metadata": metadata, "columns": {"start": [start.isoformat() for start in starts], "value": values}}


def claims(file: Any, max_rows: int, max_bytes: int) -> Refusals:
    """Refuse what a file says of itself: too many rows, groups or columns, or too many bytes when unpacked."""
    about = file.metadata
    unpacked = sum(about.row_group(n).total_byte_size for n in range(min(about.num_row_groups, max_rows)))
    if about.num_rows > max_rows:
        return [fault("/points", "too_long", f"expected at most {max_rows} rows, got {about.num_rows}")]
    if unpacked > max_bytes or about.num_row_groups > max_rows:
        return [fault("", "too_large", f"expected at most {max_bytes} bytes when unpacked, got {unpacked}")]
    return []


def types(schema: Any, pa: Any) -> Refusals:
    """Refuse columns that are missing, unknown, twice there, or of another type; each is named."""
    faults = [
        fault(f"/columns/{name}", "missing_field", f"expected a column {name}, {kind}")
        for name, kind in COLUMNS.items()
        if name not in schema.names
    ]
    for name in dict.fromkeys(schema.names):
        if name not in COLUMNS:
            if name not in ALSO:
                faults.append(fault(f"/columns/{name}", "unknown_field", f"expected columns start and value, got {name[:100]}"))
            continue
        if schema.names.count(name) > 1:
            faults.append(fault(f"/columns/{name}", "duplicate_key", f"the column {name} is there more than once"))
            continue
        kind = schema.field(name).type
        good = pa.types.is_timestamp(kind) and kind.tz is not None
        if name == "value":
            good = pa.types.is_float64(kind) or pa.types.is_float32(kind) or pa.types.is_integer(kind)
        if not good:
            faults.append(fault(f"/columns/{name}", "wrong_type", f"column {name}: expected {COLUMNS[name]}, got {kind}"))
    return faults


def cells(starts: list[Any], values: list[Any]) -> Refusals:
    """Refuse nulls and what is not finite, by row."""
    faults = [fault(f"/points/{row}/start", "missing_field", "the cell is empty") for row, s in enumerate(starts) if s is None]
    for row, value in enumerate(values):
        if value is None:
            faults.append(fault(f"/points/{row}/value", "missing_field", "the cell is empty"))
        elif not math.isfinite(value):
            faults.append(fault(f"/points/{row}/value", "not_finite", f"{value} is not a number that can be planned with"))
    return faults[:MOST_TOLD]


def main() -> None:
    """Read from standard input, write to standard output."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # the others map more address space than the cap leaves
    raw = sys.stdin.buffer.read()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        import pyarrow.parquet  # noqa: F401  # to learn whether it is there
    except ImportError as error:
        print(json.dumps({"absent": str(error)}))
        return
    print(json.dumps(read(raw, int(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
