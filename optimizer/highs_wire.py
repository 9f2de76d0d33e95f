"""The language between a solver child and its parent: frames of a small JSON header and raw arrays, in one direction.

    frame = "WSF1" | header length, 4 bytes | body length, 8 bytes | header, JSON | body: the arrays one after the other

The parent trusts nothing that it reads: lengths are capped before memory is taken, types come from a short list, no
pickle is involved, and NaN in a header is an error. Arrays may hold NaN: what they mean is the reader's to judge.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from optimizer.beginning import Beginning
from optimizer.compiled import Compiled, Floats

MAGIC = b"WSF1"
PREFIX = struct.Struct("<4sIQ")
MAX_HEADER_BYTES = 64 * 1024
DTYPES: dict[str, np.dtype[Any]] = {
    "<f8": np.dtype("<f8"),
    "<i8": np.dtype("<i8"),
    "<i4": np.dtype("<i4"),
    "|b1": np.dtype("|b1"),
}

Arrays = dict[str, NDArray[Any]]


class GarbledError(ValueError):
    """The bytes are no frame: a wrong mark, header or array table."""


class OversizedError(ValueError):
    """A frame, or all of them together, is larger than the reader takes."""


def write(stream: IO[bytes], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
    """Write one frame and flush it."""
    parts = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    table = [[name, array.dtype.str, int(array.size)] for name, array in parts.items()]
    text = json.dumps({**header, "arrays": table}, allow_nan=False).encode()
    stream.write(PREFIX.pack(MAGIC, len(text), sum(array.nbytes for array in parts.values())) + text)
    for array in parts.values():
        stream.write(array.data.cast("B"))
    stream.flush()


def model_arrays(compiled: Compiled) -> Arrays:
    """Return the arrays of a model as a child is sent them."""
    matrix = compiled.matrix
    return {
        "start": matrix.indptr.astype("<i4"), "index": matrix.indices.astype("<i4"), "value": matrix.data.astype("<f8"),
        "cost": compiled.cost, "integer": compiled.integer,
        "col_lower": compiled.col_lower, "col_upper": compiled.col_upper,
        "row_lower": compiled.row_lower, "row_upper": compiled.row_upper,
    }  # fmt: skip


def write_model(
    stream: Any, compiled: Compiled, options: Mapping[str, Any], start: Floats | None, workers: int = 1,
    warm: Beginning | None = None, way: str = "best", engine: str | None = None,
) -> None:  # fmt: skip
    """Write the one frame that a solver child reads."""
    arrays = model_arrays(compiled) | {"site": compiled.site_of_column.astype("<i4")}
    if start is not None:
        if start.shape != compiled.cost.shape:
            raise ValueError(f"start: expected {compiled.cost.size} columns, got {start.size}")
        arrays["hint"] = start
    if warm is not None:
        arrays |= {"known_counts": warm.counts, "known_prices": warm.prices}
    header = {"options": dict(options), "offset": compiled.offset, "workers": workers, "engine": engine, "way": way}
    header["is_of_these_steps"] = warm is not None and warm.is_of_these_steps
    write(stream, header, arrays)


def read(stream: IO[bytes]) -> tuple[dict[str, Any], Arrays]:
    """Read one frame from a trusted blocking stream."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise GarbledError(f"expected a frame, got {len(prefix)} bytes")
    _, header_bytes, body_bytes = PREFIX.unpack(prefix)
    return _frame(stream.read(header_bytes), stream.read(body_bytes))


class Reader:
    """Takes bytes as they come from an untrusted stream and yields whole frames."""

    def __init__(self, max_body_bytes: int, max_total_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._left_bytes = max_total_bytes
        self._buffer = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream may end here."""
        return not self._buffer

    def feed(self, chunk: bytes) -> Iterator[tuple[dict[str, Any], Arrays]]:
        """Yield the frames that `chunk` completes.

        Raises:
            GarbledError: the bytes are no frames.
            OversizedError: a frame or the whole stream is larger than agreed.
        """
        self._left_bytes -= len(chunk)
        if self._left_bytes < 0:
            raise OversizedError("the answer is larger than the cap on all output")
        self._buffer += chunk
        while len(self._buffer) >= PREFIX.size:
            magic, header_bytes, body_bytes = PREFIX.unpack_from(self._buffer)
            if magic != MAGIC:
                raise GarbledError(f"expected a frame that starts with {MAGIC!r}, got {bytes(self._buffer[:4])!r}")
            if header_bytes > MAX_HEADER_BYTES or body_bytes > self._max_body_bytes:
                raise OversizedError(f"a frame of {header_bytes + body_bytes} bytes, larger than any lawful answer")
            body = PREFIX.size + header_bytes
            if len(self._buffer) < body + body_bytes:
                return
            frame = bytes(self._buffer[PREFIX.size : body]), bytes(self._buffer[body : body + body_bytes])
            del self._buffer[: body + body_bytes]
            yield _frame(*frame)


def _frame(header: bytes, body: bytes) -> tuple[dict[str, Any], Arrays]:
    try:
        content = json.loads(header, parse_constant=_no_constant)
        table = content.pop("arrays")
        arrays: Arrays = {}
        at = 0
        for name, dtype, size in table:
            if not isinstance(name, str) or type(size) is not int or size < 0:
                raise GarbledError(f"array table {table!r}")
            arrays[name] = np.frombuffer(body, DTYPES[dtype], count=size, offset=at)
            at += arrays[name].nbytes
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise GarbledError(f"a frame that cannot be read: {error!r}"[:500]) from None
    if at != len(body):
        raise GarbledError(f"arrays of {at} bytes in a body of {len(body)}")
    return content, arrays


def _no_constant(text: str) -> float:
    raise ValueError(f"expected a finite number, got {text}")
