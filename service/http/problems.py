"""Every refusal in one table: stable code → status and title; and the RFC 9457 document that tells of it."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from models.base import Record
from models.reading import BadInputError, Refusal, refusals

MEDIA_TYPE = "application/problem+json"

CODES: dict[str, tuple[int, str]] = {
    "malformed_json": (400, "The body is not strict JSON"),
    "malformed_csv": (400, "The table of CSV cannot be read"),
    "malformed_parquet": (400, "The Parquet file cannot be read"),
    "malformed_header": (400, "A header cannot be read"),
    "unauthenticated": (401, "A valid key is needed"),
    "role_not_allowed": (403, "This key's role may not do this"),
    "origin_not_allowed": (403, "Requests from other web sites are refused"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This resource does not know the method"),
    "not_acceptable": (406, "None of the accepted media types is offered"),
    "conflict": (409, "This contradicts what is kept"),
    "idempotency_running": (409, "The first request with this key is not answered yet"),
    "other_release": (409, "Another release stored this, and this one cannot read it"),
    "length_required": (411, "A body needs a Content-Length"),
    "body_too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "The body's media type is not read here"),
    "host_not_allowed": (421, "The service does not answer to this host name"),
    "invalid_input": (422, "The input is not acceptable"),
    "infeasible": (422, "Hard rules contradict each other"),
    "idempotency_key_reused": (422, "The key was used for another request"),
    "too_many_failures": (429, "Too many keys were not accepted from this address"),
    "internal_error": (500, "Something went wrong on our side"),
    "not_ready": (503, "This part of the service is not running"),
    "store_unavailable": (503, "The store cannot be read or written now"),
    "not_fresh": (503, "What sites are served is not fresh"),
    "no_setpoint": (503, "There is no valid set-point for this site"),
}

Where = Literal["body", "query", "path", "header"]

PLAIN_CODES = {"missing": "missing_field", "extra_forbidden": "unknown_field", "value_error": "invalid_value"}
"""Stable names for the commonest of pydantic's error types; the others are kept as they are."""

HINTS = {
    "extra_forbidden": "the schema at /openapi.json names all fields",
    "float_type": "numbers are written without quotes",
    "int_type": "whole numbers are written without quotes and without a decimal point",
}


class FieldError(Record):
    """One fault: where it is (part of the request and JSON pointer), its stable code, in words, and what may help."""

    part: Where
    pointer: str
    code: str
    detail: str
    hint: str | None = None

    def written(self) -> dict[str, Any]:
        """The fault as problem documents write it: `part` is called `in` there."""
        shown = {"in": self.part, "pointer": self.pointer, "code": self.code, "detail": self.detail}
        return shown | ({"hint": self.hint} if self.hint else {})


class Problem(Exception):  # noqa: N818  # RFC 9457 calls it a problem
    """A refusal on its way to the client."""

    def __init__(
        self, code: str, detail: str, errors: Iterable[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status, self.title = CODES[code]
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the problem document."""
        shown: dict[str, Any] = {
            "type": f"/docs#problem-{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            shown["errors"] = [error.written() for error in self.errors]
        return shown


def not_found() -> Problem:
    """Return the one answer for what does not exist and for what the caller may not know of."""
    return Problem("not_found", "There is nothing here that this caller may see.")


def of_validation(error: ValidationError, part: Where) -> Problem:
    """Return all faults of a validation as one problem."""
    return of_refusals("invalid_input", refusals(error), part)


def of_bad_input(error: BadInputError, code: str = "invalid_input") -> Problem:
    """Return the faults of an input that was read and refused, or that could not be read, where `code` says so."""
    return of_refusals(code, error.refusals, "body")


def of_refusals(code: str, found: Iterable[Refusal], part: Where) -> Problem:
    """Return refusals as one problem; its detail tells the first and counts the rest."""
    errors = [
        FieldError(part=part, pointer=r.pointer, code=PLAIN_CODES.get(r.code, r.code), detail=r.detail, hint=HINTS.get(r.code))
        for r in found
    ]
    first = errors[0]
    more = f" ({len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(code, f"{first.pointer or part}: {first.detail}{more}", errors)
