"""`wattsplit difficulty`: known changes of the network's difficulty; each re-plans at once."""

from typing import Annotated, Any

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Tell when the network's difficulty changes, and by how much.", no_args_is_help=True)

COLUMNS = ("entry_id", "at", "change", "created_by", "source")
HISTORY = (*COLUMNS[:-1], "created_at", "withdrawn_at", "source")


@app.command()
def enter(
    at: Annotated[str, typer.Option(help="When it changes: an instant with offset, or +72h from now.")],
    percent: Annotated[float, typer.Option(help="By how much: 5 for five percent harder, -3 for three percent easier.")],
    source: Annotated[str, typer.Option(help="Who said so, for people.")] = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Enter a change; hashprice after it follows. Each series of it must be declared with difficulty constant.

    Example: `wattsplit difficulty enter --at +72h --percent 4.2`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    entry = running().post("/v1/difficulty-steps", {"at": iso(instant(at)), "change_percent": percent, "source": source})
    Say(as_json, quiet).result(entry, lambda console: console.print(f"difficulty {entry['entry_id']}: {in_words(entry)}"))


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also those that have come or were taken back.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the changes to come.

    Example: `wattsplit difficulty list`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    entries = list(running().list("/v1/difficulty-steps", standing=None if everything else "true"))
    rows = [entry | entry["difficulty"] | {"change": change(entry["difficulty"])} for entry in entries]
    columns = HISTORY if everything else COLUMNS
    Say(as_json, quiet).result(entries, lambda console: console.print(rows_table(rows, columns, "no changes are entered")))


@app.command()
def withdraw(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="Id of the entry, as `difficulty list` shows it.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take a change back, because its time or size is known better; the service re-plans at once.

    Example: `wattsplit difficulty withdraw 3f0a…`
    """
    from service.cli.running import running

    withdrawn = running().delete(f"/v1/difficulty-steps/{entry}")
    Say(as_json, quiet).result(withdrawn, lambda console: console.print(f"withdrawn: {in_words(withdrawn)}"))


def in_words(entry: dict[str, Any]) -> str:
    """Return a change in words."""
    return f"{change(entry['difficulty'])} at {entry['difficulty']['at']}"


def change(said: dict[str, Any]) -> str:
    """Return by how much the difficulty changes."""
    return f"{100 * said['change_share']:+g} %"
