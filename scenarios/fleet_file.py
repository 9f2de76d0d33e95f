"""The fleet file: a fleet as people write it, with templates for what machines, countries and contracts have in common.

A fleet file is the record `models.Fleet` in YAML or JSON, plus one thing: a top-level mapping `templates`. A mapping anywhere
else may say `use: NAME` and starts out as a copy of that template; its own fields win. Templates do not use templates.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from models.base import Record
from models.fleet import Fleet
from models.reading import MAX_BYTES, parse, parse_json, parse_yaml, refuse


def read_fleet(raw: bytes, *, max_bytes: int = MAX_BYTES) -> Fleet:
    """Return the fleet that a file in YAML or JSON describes.

    Raises:
        BadInputError: every fault found, with its JSON pointer.
    """
    content = parse_json(raw, max_bytes=max_bytes) if raw.lstrip()[:1] == b"{" else parse_yaml(raw, max_bytes=max_bytes)
    return parse(Fleet, expand(content))


def write_fleet(fleet: Fleet) -> str:
    """Return a fleet as YAML that `read_fleet` reads back to the same fleet; fields at their defaults are left out."""
    content = fleet.model_dump(mode="json", exclude_defaults=True)
    _keep_kinds(fleet, content)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def expand(content: Any) -> Any:
    """Return a fleet file's content with every `use` replaced by the fields of its template.

    Raises:
        BadInputError: a template that is not there, is no mapping, or uses another one.
    """
    if not isinstance(content, dict):
        refuse("wrong_shape", f"expected a mapping with name and sites, got {type(content).__name__}")
    templates = content.get("templates", {})
    if not isinstance(templates, dict):
        refuse("wrong_shape", f"expected a mapping of templates by name, got {type(templates).__name__}", "/templates")
    for name, template in templates.items():
        if not isinstance(template, dict):
            refuse("wrong_shape", f"expected a mapping of fields, got {type(template).__name__}", f"/templates/{name}")
        if "use" in template:
            refuse("nested_template", "a template cannot use another one", f"/templates/{name}/use")
    return _expanded({key: value for key, value in content.items() if key != "templates"}, templates, "")


def _expanded(value: Any, templates: Mapping[str, Any], pointer: str) -> Any:
    if isinstance(value, list):
        return [_expanded(item, templates, f"{pointer}/{position}") for position, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "use" in value:
        name = value["use"]
        if not isinstance(name, str) or name not in templates:
            refuse("unknown_template", f"expected one of the templates {sorted(templates)}, got {name!r}", f"{pointer}/use")
        value = {**templates[name], **{key: own for key, own in value.items() if key != "use"}}
    return {key: _expanded(item, templates, f"{pointer}/{key}") for key, item in value.items()}


def _keep_kinds(record: Record, content: dict[str, Any]) -> None:
    """Put back the `kind` of records that a union is told apart by: it is always at its default."""
    for name in type(record).model_fields:
        value = getattr(record, name)
        if name == "kind":
            content[name] = value
        elif isinstance(value, Record) and name in content:
            _keep_kinds(value, content[name])
        elif isinstance(value, tuple):
            for member, written in zip(value, content.get(name, ()), strict=False):
                if isinstance(member, Record):
                    _keep_kinds(member, written)


def as_json(fleet: Fleet) -> str:
    """Return a fleet as JSON with every default filled in."""
    return json.dumps(fleet.model_dump(mode="json"), ensure_ascii=False, indent=1)
