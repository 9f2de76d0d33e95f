"""Reads JSON and YAML from outside strictly, and says everything that is wrong with it in words.

Standard parsers accept NaN, 1e999, duplicate keys and endless nesting; none of them may reach a record.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

MAX_DEPTH = 32
MAX_BYTES = 256 * 1024 * 1024
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]')
IN_WORDS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": "a name of at most 63 letters, digits, dots, - and _, without spaces",
    r"^[A-Z]{2}$": "a country's two capital letters such as US",
    r"^[A-Z]{3}$": "a currency's three capital letters such as EUR",
    r"^\d{4}-(0[1-9]|1[0-2])$": "a month such as 2026-11",
}
"""What texts that must match a pattern are like."""
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
R = TypeVar("R", bound=BaseModel)


class Refusal(BaseModel):
    """One fault of an input: where (JSON pointer), which kind (stable code), and in words."""

    pointer: str
    code: str
    detail: str


class BadInputError(ValueError):
    """An input that is refused whole, with all its faults."""

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(f"{r.pointer or '(document)'}: {r.detail}" for r in refusals))


def refuse(code: str, detail: str, pointer: str = "") -> NoReturn:
    """Raise one refusal."""
    raise BadInputError([Refusal(pointer=pointer, code=code, detail=detail)])


def parse_json(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Return the content of a JSON document.

    Raises:
        BadInputError: too large, not UTF-8, not JSON, nested too deep, a duplicate key, NaN or a number beyond range.

    """
    text = _text(raw, max_bytes)
    _check_depth(text, max_depth)
    try:
        content = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_finite, parse_int=_whole)
    except json.JSONDecodeError as error:
        is_trailing = text[: error.pos].rstrip().endswith(",") and text[error.pos : error.pos + 1] in ("}", "]")
        words = f"a comma stands before {text[error.pos]!r}; take it out" if is_trailing else error.msg
        refuse("malformed_json", f"not JSON at line {error.lineno}, column {error.colno}: {words}")
    if defects := list(_defects(content, "")):
        raise BadInputError(defects)
    return content


def parse_yaml(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Return the content of a YAML document; anchors, aliases, tags and duplicate keys are refused.

    Raises:
        BadInputError: as for JSON, and for what YAML has beyond it.

    """
    text = _text(raw, max_bytes)
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_YAML):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                refuse("yaml_alias", f"anchors and aliases are not accepted ({_line(event.start_mark)})")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > max_depth:
                refuse("too_deep", f"nested deeper than {max_depth} levels ({_line(event.start_mark)})")
        return yaml.load(text, Loader=_YAML)  # a SafeLoader without dates and with unique keys
    except yaml.YAMLError as error:
        refuse("malformed_yaml", f"not YAML: {' '.join(str(error).split())}")


def parse(record: type[R], content: Any) -> R:
    """Return a record made of parsed content, strictly.

    Raises:
        BadInputError: every fault, with its JSON pointer.

    """
    try:
        encoded = json.dumps(content, allow_nan=False)
    except ValueError as error:
        refuse("not_finite", f"a number is not finite: {error}")
    try:
        return record.model_validate_json(encoded)
    except ValidationError as error:
        raise BadInputError(refusals(error)) from None


def refusals(error: ValidationError) -> list[Refusal]:
    """Return the faults that a validation found, one per field; a name that is not known is told beside one that is missing."""
    errors = [e for e in error.errors(include_url=False) if not _is_echo(e)]
    missing = [e["loc"] for e in errors if e["type"] == "missing"]
    return [
        Refusal(
            pointer="".join(f"/{_escape(str(part))}" for part in e["loc"]),
            code=e["type"],
            detail=_words(_expected(e), e["input"]) + (_meant(e["loc"], missing) if e["type"] == "extra_forbidden" else ""),
        )
        for e in errors
    ]


def _is_echo(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because each of its items is refused, which is told already."""
    got = error["input"]
    return error["type"] == "too_short" and isinstance(got, list | tuple) and len(got) >= error["ctx"]["min_length"]


def _expected(error: ErrorDetails) -> str:
    """Say what a text that is matched with a pattern is to be like, where people do not read patterns."""
    words = IN_WORDS.get(error["ctx"]["pattern"]) if error["type"] == "string_pattern_mismatch" else None
    return f"expected {words}" if words else error["msg"]


def _meant(unknown: tuple[int | str, ...], missing: Sequence[tuple[int | str, ...]]) -> str:
    beside = [str(loc[-1]) for loc in missing if loc[:-1] == unknown[:-1]]
    near = get_close_matches(str(unknown[-1]), beside, n=1)
    return f"; did you mean {near[0]}, which is missing?" if near else ""


def _words(message: str, got: Any) -> str:
    message = message.removeprefix("Value error, ")
    shown = repr(got)
    return message if isinstance(got, dict | list | tuple) or "got" in message or len(shown) > 80 else f"{message}, got {shown}"


def _line(mark: Any) -> str:  # the C and the Python mark share no type
    return "line unknown" if mark is None else f"line {mark.line + 1}"


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _text(raw: bytes, max_bytes: int) -> str:
    if len(raw) > max_bytes:
        refuse("too_large", f"expected at most {max_bytes} bytes, got {len(raw)}")
    if not raw.strip():
        refuse("empty", "the document is empty")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        refuse("not_utf8", f"expected UTF-8, byte {error.start} is not")


def _check_depth(text: str, max_depth: int) -> None:
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > max_depth:
                refuse("too_deep", f"nested deeper than {max_depth} levels")
        elif token[0] in "]}":
            depth -= 1


class _Defect:
    """Stands in parsed JSON where something is wrong, until all of them are told with their pointers."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                content[key] = _Defect("duplicate_key", f"the key {key!r} stands twice in one object")
            seen.add(key)
    return content


def _constant(name: str) -> _Defect:
    return _Defect("not_finite", f"{name} is not a number that can be planned with")


def _finite(text: str) -> float | _Defect:
    value = float(text)
    return value if math.isfinite(value) else _Defect("not_finite", f"{text[:20]} is beyond the range of numbers")


def _whole(text: str) -> int | _Defect:
    return int(text) if len(text) <= 20 else _Defect("not_finite", f"{text[:20]}… is beyond the range of whole numbers")


def _defects(content: Any, pointer: str) -> Iterator[Refusal]:
    if isinstance(content, _Defect):
        yield Refusal(pointer=pointer, code=content.code, detail=content.detail)
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _bad_text(key, pointer)
            yield from _defects(value, f"{pointer}/{_escape(key.encode(errors='replace').decode())}")
    elif isinstance(content, list):
        for place, value in enumerate(content):
            if isinstance(value, dict | list | str | _Defect):
                yield from _defects(value, f"{pointer}/{place}")
    elif isinstance(content, str):
        yield from _bad_text(content, pointer)


def _bad_text(text: str, pointer: str) -> Iterator[Refusal]:
    """Refuse what JSON can escape and neither UTF-8 nor a database can hold."""
    if _UNSTORABLE.search(text):
        yield Refusal(pointer=pointer, code="bad_text", detail="text holds a null or half a character pair")


class _YAML(yaml.SafeLoader):
    """Safe YAML without dates (instants stay text, with their offset) and without duplicate keys."""


_YAML.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _unique_mapping(loader: _YAML, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for position, key in enumerate(keys):
        if key in keys[:position]:
            refuse("duplicate_key", f"the key {key!r} stands twice ({_line(node.value[position][0].start_mark)})")
    return dict(zip(keys, (loader.construct_object(value, deep=True) for _, value in node.value), strict=True))


_construct: Callable[..., Any] = _YAML.add_constructor
_construct("tag:yaml.org,2002:map", _unique_mapping)
