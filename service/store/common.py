"""What all repositories share: pages, numbers that count up, and errors."""

import secrets
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Row, func, select

T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]

MAX_PAGE = 500


class StoreError(Exception):
    """Base of what the store refuses."""


class ConflictError(StoreError):
    """The same thing exists with other content."""


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
