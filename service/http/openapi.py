"""OpenAPI 3.1, read off the routes."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.http.problems import CODES, MEDIA_TYPE
from service.http.routes import Route

REF = "#/components/schemas/{model}"
Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem. `code` is stable; `errors` names every fault at once.",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "enum": sorted(CODES)},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "code", "detail"],
                "properties": {
                    "in": {"type": "string", "enum": ["body", "query", "path", "header"]},
                    "pointer": {"type": "string", "description": "JSON pointer within that part"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "hint": {"type": "string"},
                },
            },
        },
    },
}


def document(routes: Iterable[Route], *, version: str, open_reads: bool) -> Schema:
    """Return the API's description.

    Args:
        routes: all routes; hidden ones are left out.
        version: release of the program.
        open_reads: whether reads need no key here, because only this machine can reach the service.
    """
    shown = [route for route in routes if not route.hidden]
    names, components = _schemas(shown)
    paths: dict[str, Schema] = {}
    for route in shown:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, names, components, open_reads)
    queries = {names[(model, "validation")] for route in shown if (model := route.model("query")) is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wattsplit",
            "version": version,
            "description": "Plans of a fleet that mines and serves inference, and the set-points that its sites fetch.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries} | {"ProblemDetails": PROBLEM},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key, `ws_<id>.<secret>`."},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "wattsplit_session",
                    "description": "The page.",
                },
            },
        },
    }


def _schemas(routes: Sequence[Route]) -> tuple[dict[tuple[type[BaseModel], str], str], dict[str, Schema]]:
    """Return the component name of each model and mode, and the components."""
    wanted: dict[tuple[type[BaseModel], Any], None] = {}
    for route in routes:
        for part in ("query", "body"):
            if (model := route.model(part)) is not None:
                wanted[(model, "validation")] = None
        if route.answer is not None:
            wanted[(route.answer, "serialization")] = None
    references, definitions = models_json_schema(list(wanted), ref_template=REF)
    names = {key: str(schema["$ref"]).rsplit("/", 1)[1] for key, schema in references.items()}
    return names, definitions.get("$defs", {})  # type: ignore[return-value]  # keys carry the mode as a literal


def _operation(route: Route, names: dict[Any, str], components: dict[str, Schema], open_reads: bool) -> Schema:
    access = route.access
    keyed: list[Schema] = [{"key": []}, {"session": []}]
    operation: Schema = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "description": (route.handler.__doc__ or "").strip(),
        "security": [] if access.public else ([{}, *keyed] if access.open_on_loopback and open_reads else keyed),
        "x-wattsplit-roles": sorted(access.roles),
        "parameters": [*_path(route), *_query(route, names, components), *_headers(route)],
        "responses": _responses(route, names),
    }
    if access.site is not None:
        operation["x-wattsplit-site"] = access.site
    if (body := route.model("body")) is not None:
        schema = {"$ref": REF.format(model=names[(body, "validation")])}
        content = {"application/json": {"schema": schema}} | {kind: {"schema": {"type": "string"}} for kind in route.readers}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path(route: Route) -> list[Schema]:
    name = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"}
    return [{"name": parameter, "in": "path", "required": True, "schema": name} for parameter in route.parameters]


def _query(route: Route, names: dict[Any, str], components: dict[str, Schema]) -> list[Schema]:
    model = route.model("query")
    if model is None:
        return []
    schema = components[names[(model, "validation")]]
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": _not_null(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def _not_null(field: Schema) -> Schema:
    """Drop the null branch: a parameter that is not given is absent, never null."""
    branches = [branch for branch in field.get("anyOf", ()) if branch.get("type") != "null"]
    if not branches:
        return field
    rest = {key: value for key, value in field.items() if key not in ("anyOf", "default")}
    return rest | (branches[0] if len(branches) == 1 else {"anyOf": branches})


def _headers(route: Route) -> list[Schema]:
    named = dict(route.request_headers)
    if route.method == "POST":
        named["Idempotency-Key"] = "The same key with the same request gets the first answer again; kept for 48 hours."
    return [
        {"name": name, "in": "header", "required": False, "description": words, "schema": {"type": "string"}}
        for name, words in named.items()
    ]


def _responses(route: Route, names: dict[Any, str]) -> Schema:
    content: Schema = {}
    if route.answer is not None:
        content["application/json"] = {"schema": {"$ref": REF.format(model=names[(route.answer, "serialization")])}}
    for kind in route.also_produces.get(route.status, ()):
        content[kind] = {"schema": {"type": "string"}}
    good: Schema = {"description": route.summary}
    if content:
        good["content"] = content
    if route.headers:
        good["headers"] = {name: {"description": words, "schema": {"type": "string"}} for name, words in route.headers.items()}
    answers: Schema = {str(route.status): good}
    for status in route.also_produces:
        if status != route.status:
            answers[str(status)] = {"description": "Not modified" if status == 304 else route.summary}
    for status, codes in sorted(problem_codes(route).items()):
        answers[str(status)] = {
            "description": "; ".join(f"`{code}`: {CODES[code][1]}" for code in codes),
            "content": {MEDIA_TYPE: {"schema": {"$ref": REF.format(model="ProblemDetails")}}},
        }
    return answers


def problem_codes(route: Route) -> dict[int, list[str]]:
    """Return the codes with which a route may refuse, by status."""
    codes = [
        "host_not_allowed",
        "body_too_large",
        "length_required",
        "unsupported_media_type",
        "invalid_input",
        "internal_error",
        "store_unavailable",
        "other_release",
    ]
    if not route.access.public:
        codes += ["unauthenticated", "role_not_allowed", "origin_not_allowed", "too_many_failures"]
    if route.parameters:
        codes.append("not_found")
    if route.model("body") is not None:
        codes += ["malformed_json", *(reader.code for reader in route.readers.values())]
    if route.method == "POST":
        codes += ["malformed_header", "idempotency_running", "idempotency_key_reused"]
    found: dict[int, list[str]] = {}
    for code in dict.fromkeys([*codes, *route.problems]):
        found.setdefault(CODES[code][0], []).append(code)
    return found
