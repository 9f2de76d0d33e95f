"""What all repositories share: pages, numbers that count up, and errors."""

import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Column, Connection, Row, func, select

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)
_SCHEMA_VERSION = re.compile(rb'"schema_version":\s*(\d+)')
AnyRow = Row[*tuple[Any, ...]]

MAX_PAGE = 500


class StoreError(Exception):
    """Base of what the store refuses."""


class ConflictError(StoreError):
    """The same thing exists with other content."""


class UnreadableError(StoreError):
    """A stored record is not one of this release: another release wrote it, with other fields."""


def read_json(record: type[R], body: bytes, what: str) -> R:
    """Return a stored record.

    Stored records are never rewritten, and releases add and drop fields. One that this release cannot read is refused, so
    that whoever needs it takes the next best thing and says so; it is not guessed at.

    Raises:
        UnreadableError: `what` it is, which schema version it has, and the first field that does not fit.
    """
    try:
        return record.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/" + "/".join(str(part) for part in first["loc"])
        version = _SCHEMA_VERSION.search(body[:200])
        written = f"schema version {version[1].decode()}" if version else "no schema version"
        words = f"{what} ({written}) was stored by another release: {where}: {first['msg']}"
        raise UnreadableError(words) from None


def of_this_release(record: type[R], content: Any) -> R | None:
    """Return what a job holds as a record, or None where another release wrote it with other fields.

    For lists: one job that cannot be read must not hide the others.
    """
    try:
        return record.model_validate_json(json.dumps(content))
    except ValidationError:
        return None


@dataclass(frozen=True)
class Page(Generic[T]):
    """A run of records, newest first, and the number to go on after, or None at the end."""

    items: tuple[T, ...]
    next_after: int | None


def new_id() -> str:
    """Return a random 128-bit id."""
    return secrets.token_hex(16)


def next_number(connection: Connection, column: Column[Any]) -> int:
    """Return the next of the numbers that count up. Call it inside a write transaction: writers take turns."""
    return int(connection.execute(select(func.coalesce(func.max(column), 0))).scalar_one()) + 1


def cut(rows: list[tuple[int, T]], limit: int) -> Page[T]:
    """Make a page of `limit` out of rows that were read with `limit + 1`."""
    items = rows[:limit]
    return Page(tuple(item for _, item in items), items[-1][0] if len(rows) > limit else None)
