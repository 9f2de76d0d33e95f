"""What a command says: its result on standard output (for people, or as JSON), everything else on standard error."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TextIO, cast

import typer
from rich.console import Console
from rich.markup import escape

from service.cli.exits import CommandError

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no notes.")]


@dataclass
class Say:
    """One command's voice."""

    as_json: bool = False
    quiet: bool = False
    out: Console = field(default_factory=lambda: people(stderr=False))
    err: Console = field(default_factory=lambda: people(stderr=True))

    def result(self, content: Any, show: Callable[[Console], None]) -> None:
        """Print the result: `content` as JSON, or what `show` makes of it for people."""
        if self.as_json:
            print(json.dumps(content, indent=2, ensure_ascii=False))
        else:
            show(self.out)

    def note(self, words: str) -> None:
        """Tell people what goes on; machines and the quiet are spared."""
        if not self.quiet and not self.as_json:
            self.err.print(escape(words), style="dim")

    def warn(self, words: str) -> None:
        """Tell people what they must know, whatever they asked to be spared."""
        self.err.print(escape(words), style="yellow")


def people(*, stderr: bool) -> Console:
    """Return a console that keeps wide tables whole where nobody looks at a window."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 160
    return console


class Outlasting:
    """A stream whose reader may leave and whose disk may fill up: what cannot be written then is lost, and nothing else is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if that can be done."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what is kept back, if that can be done."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def outlast_output() -> None:
    """From here on nothing fails because something cannot be printed: for a process that others rely on."""
    sys.stdout, sys.stderr = cast(TextIO, Outlasting(sys.stdout)), cast(TextIO, Outlasting(sys.stderr))


def complain(error: CommandError, *, as_json: bool) -> None:
    """Print why a command could not go on, on standard error."""
    if as_json:
        content = {"exit_code": int(error.code), "code": error.code.name.lower(), "detail": error.message, "errors": error.faults}
        print(json.dumps(content, indent=2, ensure_ascii=False), file=sys.stderr)
        return
    print(f"wattsplit: {error.message}", file=sys.stderr)
    for fault in error.faults:
        place = f"{fault['pointer']}: " if fault.get("pointer") else ""
        print(f"  {place}{fault.get('detail', '')}", file=sys.stderr)
