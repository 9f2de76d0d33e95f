"""Lists go by cursor: opaque to the caller, the number to go on after to us."""

import base64
from typing import Annotated, Any, Self, TypeVar

from annotated_types import Ge, Le
from pydantic import BaseModel, ConfigDict, Field

from models.base import Record
from service.http.problems import FieldError, Problem
from service.store.common import MAX_PAGE, Page

T = TypeVar("T", bound=BaseModel)


class Query(BaseModel):
    """Base of query records: unknown parameters are refused. Values come as text and are read by their type."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PageQuery(Query):
    """How much of a list, and from where."""

    limit: Annotated[int, Ge(1), Le(MAX_PAGE)] = 100
    cursor: Annotated[str, Field(max_length=64, description="`next_cursor` of the page before")] | None = None

    @property
    def after(self) -> int | None:
        """The number that the cursor stands for.

        Raises:
            Problem: invalid_input.
        """
        return None if self.cursor is None else _number(self.cursor)


class Listing(Record):
    """Base of list answers: `items`, and the cursor of the next page unless this is the last."""

    next_cursor: str | None = None

    @classmethod
    def of(cls, page: Page[Any], items: tuple[Any, ...] | None = None) -> Self:
        """Return a page of the store as an answer."""
        after = page.next_after
        return cls(items=page.items if items is None else items, next_cursor=None if after is None else cursor(after))  # type: ignore[call-arg]  # subclasses declare `items`


def cursor(number: int) -> str:
    """Return a number as a cursor."""
    return base64.urlsafe_b64encode(f"c{number}".encode()).decode().rstrip("=")


def _number(text: str) -> int:
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        if decoded[:1] == "c" and decoded[1:].isascii() and decoded[1:].isdigit() and len(decoded) < 20:
            return int(decoded[1:])
    except ValueError:
        pass
    error = FieldError(part="query", pointer="/cursor", code="unknown_cursor", detail="expected next_cursor of the page before")
    raise Problem("invalid_input", f"/cursor: {error.detail}", [error])
