"""Reads what a command is given: problem files, plan files and fleets, complete or refused with every fault."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from models.fleet import Fleet
from models.plan import Plan
from models.problem import Problem
from models.reading import MAX_BYTES, BadInputError, parse, parse_json, parse_yaml, refuse
from service.cli.exits import CommandError, Exit, bad_input
from service.cli.kinds import another_kind

R = TypeVar("R", bound=BaseModel)

MAX_TOLD = 200
"""Most faults that are told of one input; their number is told in any case."""


def read(record: type[R], source: str) -> R:
    """Return a record read from a JSON or YAML file, or from standard input for `-`.

    Raises:
        CommandError: no such file, or an input that is refused, with every fault (exit 3).
    """
    what = record.__name__.lower()
    raw = content_of(source, what)
    with refusing(f"{source} as a {what}"):
        return parsed(record, parse_document(source, raw))


def parsed(record: type[R], content: Any) -> R:
    """Return a record made of parsed content.

    Raises:
        BadInputError: every fault; or one that says that the content is a document of another kind.
    """
    try:
        return parse(record, content)
    except BadInputError:
        if another := another_kind(content, record.__name__):
            refuse("another_kind", another)
        raise


def parse_document(source: str, raw: bytes) -> dict[str, Any]:
    """Return the object that a document holds; the name of its file says whether it is YAML.

    Raises:
        BadInputError: it is neither, or holds something else.
    """
    content = parse_yaml(raw) if Path(source).suffix.lower() in (".yaml", ".yml") else parse_json(raw)
    if not isinstance(content, dict):
        refuse("wrong_shape", f"expected an object, got {type(content).__name__}")
    return content


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn a refusal of input inside the block into the command's own (exit 3), with every fault."""
    try:
        yield
    except BadInputError as error:
        faults = [refusal.model_dump() for refusal in error.refusals[:MAX_TOLD]]
        raise bad_input(f"{what} is refused: {len(error.refusals)} fault(s)", faults) from None


def content_of(source: str, what: str, where: str = "a JSON or YAML file") -> bytes:
    """Return the bytes of a file or of standard input, no more than a reader may take."""
    try:
        if source == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(source).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise bad_input(f"{source}: expected a {what} in {where}; {error.strerror}") from None


def read_problem(source: str) -> Problem:
    """Return the problem of a file, or for the word `reference` that of the reference fleet from this hour on."""
    if source == "reference":
        from scenarios.feed import reference_problem

        return reference_problem(datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    return read(Problem, source)


def read_plan(source: str) -> Plan:
    """Return the plan of a file."""
    return read(Plan, source)


def read_fleet(source: str) -> Fleet:
    """Return the fleet of a file, its templates filled in."""
    from scenarios.fleet_file import read_fleet as read_file

    raw = content_of(source, "fleet")
    with refusing(f"{source} as a fleet"):
        try:
            return read_file(raw)
        except BadInputError:
            content = None
            with suppress(BadInputError):
                content = parse_document(source, raw)
            if another := another_kind(content, "Fleet"):
                refuse("another_kind", another)
            raise


def before_writing(path: Path | None) -> None:
    """Refuse a file whose folder is not there before anything is worked out for it.

    Raises:
        CommandError: there is no such folder.
    """
    if path is not None and not path.parent.is_dir():
        raise CommandError(Exit.FAILED, f"cannot write {path}: there is no folder {path.parent}")


def write(path: Path, content: str | bytes) -> None:
    """Write a result to a file, whole or not at all.

    Raises:
        CommandError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise CommandError(Exit.FAILED, f"cannot write {path}: {error.strerror}") from None
