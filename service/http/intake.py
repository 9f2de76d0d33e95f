"""Reads path, query and body of a request against the models that its route declares. Nothing is coerced or guessed."""

import json
import re
from collections.abc import Mapping

from flask import Request
from pydantic import BaseModel, ValidationError

from models.reading import BadInputError, parse_json, refusals
from service.config import Settings
from service.http.problems import FieldError, Problem, not_found, of_bad_input, of_refusals, of_validation
from service.http.routes import Limit, Reader, Route

JSON = "application/json"
MAX_QUERY_CHARACTERS = 4_096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def check_path(path: Mapping[str, str]) -> None:
    """Answer a parameter that can be no name as what does not exist.

    Raises:
        Problem: not_found.
    """
    if not all(_NAME.fullmatch(value) for value in path.values()):
        raise not_found()


def read_query(request: Request, model: type[BaseModel] | None) -> BaseModel | None:
    """Return the query as a record; a parameter that is unknown, repeated or not text of its type is refused.

    Raises:
        Problem: invalid_input.
    """
    given = dict(request.args.lists())
    if len(request.query_string) > MAX_QUERY_CHARACTERS:
        raise Problem("invalid_input", f"query: expected at most {MAX_QUERY_CHARACTERS} characters.")
    errors = [
        FieldError(part="query", pointer=f"/{name}", code="repeated_parameter", detail=f"expected once, got {len(values)} times")
        for name, values in given.items()
        if len(values) > 1
    ]
    if model is None:
        errors += [
            FieldError(part="query", pointer=f"/{name}", code="unknown_field", detail="this resource takes no query")
            for name in given
        ]
    if errors:
        raise Problem("invalid_input", f"{errors[0].pointer}: {errors[0].detail}", errors)
    if model is None:
        return None
    try:
        return model.model_validate_strings({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise of_validation(error, "query") from None


def read_body(request: Request, route: Route, settings: Settings) -> tuple[bytes, BaseModel | None]:
    """Return the body as it came and as a record.

    Raises:
        Problem: length_required, body_too_large, unsupported_media_type, invalid_input, malformed_json or the
            like of another media type.
    """
    model = route.model("body")
    raw = _bytes(request, _cap(route.limit, settings) if model else 0)
    if model is None:
        return raw, None
    media_type = _media_type(request, route)
    if media_type != JSON:
        return raw, _table(route.readers[media_type], raw, request.args, model)
    try:
        parse_json(raw)
    except BadInputError as error:
        raise of_bad_input(error, "malformed_json") from None
    try:
        return raw, model.model_validate_json(raw)
    except ValidationError as error:
        raise of_validation(error, "body") from None


def _table(reader: Reader, raw: bytes, query: Mapping[str, str], model: type[BaseModel]) -> BaseModel:
    """Return a body that is no JSON as a record."""
    try:
        content = reader.read(raw, query)
    except BadInputError as error:
        raise of_refusals(reader.code, reader.placed(error.refusals), "body") from None
    try:
        return model.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise of_refusals("invalid_input", reader.placed(refusals(error)), "body") from None


def _cap(limit: Limit, settings: Settings) -> int:
    return {
        "body": settings.max_body_bytes,
        "telemetry": settings.max_telemetry_bytes,
        "large": settings.max_large_body_bytes,
    }[limit]


def _bytes(request: Request, cap: int) -> bytes:
    """Read a body whose length is declared and within the cap; none of a longer one is read."""
    if "Transfer-Encoding" in request.headers:
        raise Problem("length_required", "Transfer-Encoding: expected a body with Content-Length, not in chunks.")
    if "Content-Encoding" in request.headers:
        raise Problem("unsupported_media_type", "Content-Encoding: expected a body that is not compressed.")
    length = request.content_length or 0
    if length > cap:
        what = f"expected at most {cap} bytes, got {length}" if cap else "this resource takes no body"
        raise Problem("body_too_large", f"Content-Length: {what}.")
    return request.get_data(cache=False) if length else b""


def _media_type(request: Request, route: Route) -> str:
    media_type = request.mimetype
    offered = (JSON, *route.readers)
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if media_type not in offered or charset not in ("utf-8", "utf8"):
        got = request.headers.get("Content-Type", "nothing")[:100]
        detail = f"Content-Type: expected {' or '.join(offered)} in UTF-8, got {got!r}."
        raise Problem("unsupported_media_type", detail, headers={"Accept": ", ".join(offered)})
    return media_type
