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
from service.cli.exits import CommandError, Exit, bad_input, usage
from service.cli.kinds import another_kind

R = TypeVar("R", bound=BaseModel)

FILE_NAMES = (".csv", ".json", ".xls", ".yaml", ".yml", ".parquet", ".html", ".txt")
"""Endings of names that are meant as files, where a folder is to be made."""

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


def before_writing(*paths: Path | None) -> None:
    """Refuse files that cannot be written before anything is worked out for them.

    Raises:
        CommandError: there is no such folder, it takes no files, or the name is that of a folder.
    """
    for path in paths:
        if path is None:
            continue
        if not path.parent.is_dir():
            raise CommandError(Exit.FAILED, f"cannot write {path}: there is no folder {path.parent}")
        if path.is_dir():
            raise CommandError(Exit.FAILED, f"cannot write {path}: it is a folder")
        partial = _partial(path)
        with _writing(path, partial):
            partial.touch()
            partial.unlink()


def made_folder(path: Path, instead: str = "") -> Path:
    """Make a folder for several files before anything is worked out for them; one that is there is taken as it is.

    Raises:
        CommandError: a file has that name, the name is one of a file, or the folder cannot be made or takes no files.
    """
    if path.suffix.lower() in FILE_NAMES:
        raise usage(f"--out: expected a folder{instead}, got {path}, which is named like a file")
    if path.exists() and not path.is_dir():
        raise CommandError(Exit.FAILED, f"cannot write into {path}: it is no folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(Exit.FAILED, f"cannot make the folder {path}: {error.strerror}") from None
    before_writing(path / "any")
    return path


def write(path: Path, content: str | bytes) -> None:
    """Write a result to a file, whole or not at all.

    Raises:
        CommandError: the file cannot be written.
    """
    partial = _partial(path)
    with _writing(path, partial):
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


@contextmanager
def _writing(path: Path, partial: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise CommandError(Exit.FAILED, f"cannot write {path}: {error.strerror}") from None
