"""The reference page: the OpenAPI document as HTML, made on the server, with one style sheet and nothing from elsewhere."""

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from service.http.problems import CODES


def page(api: dict[str, Any]) -> bytes:
    """Return the page of an OpenAPI document."""
    tags: dict[str, list[dict[str, Any]]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            headers = next(iter(operation["responses"].values())).get("headers", {})
            shown = {"path": path, "method": method, "answer_headers": headers, **operation}
            tags.setdefault(operation["tags"][0], []).append(shown)
    template = _environment().get_template("reference.html")
    codes = sorted(CODES.items(), key=lambda item: (item[1][0], item[0]))
    return template.render(api=api, tags=tags, codes=codes, kind=_kind, link=_link, prose=_prose).encode()


def style() -> bytes:
    """Return the page's style sheet."""
    return (files("service.http") / "static" / "reference.css").read_bytes()


@cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("service.http"), autoescape=select_autoescape(), trim_blocks=True)


def _kind(schema: dict[str, Any]) -> Markup:
    """Return a schema's type in a word, linked where it has a name."""
    if "$ref" in schema:
        return _link(schema)
    if "enum" in schema:
        return Markup(" | ").join(escape(value) for value in schema["enum"])
    if "const" in schema:
        return escape(schema["const"])
    for branches in ("anyOf", "oneOf"):
        if branches in schema:
            return Markup(" | ").join(_kind(branch) for branch in schema[branches])
    if schema.get("type") == "array":
        return Markup("[{}]").format(_kind(schema.get("items", {})))
    if isinstance(schema.get("additionalProperties"), dict):
        return Markup("{{name: {}}}").format(_kind(schema["additionalProperties"]))
    return escape(schema.get("format") or schema.get("type") or "anything")


def _prose(text: str) -> Markup:
    """Return text with what stands between backticks set as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _link(schema: dict[str, Any]) -> Markup:
    if "$ref" not in schema:
        return escape(schema.get("type", ""))
    name = str(schema["$ref"]).rsplit("/", 1)[1]
    return Markup('<a href="#schema-{0}">{0}</a>').format(name)
