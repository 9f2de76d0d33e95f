"""`wattsplit pin`: counts that somebody holds a machine to, until they expire; each re-plans at once."""

from typing import Annotated, Any

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Hold a machine to a count for a while.", no_args_is_help=True)

COLUMNS = ("entry_id", "what", "expires", "owner", "reason")
HISTORY = ("entry_id", "what", "created_at", "expires", "withdrawn_at", "owner", "reason")


@app.command()
def enter(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")],
    machine: Annotated[str, typer.Argument(metavar="MACHINE", help="An ASIC group or a GPU pool of the site.")],
    count: Annotated[int, typer.Option(min=0, help="Blocks or nodes that run, or blocks in the mode given; no more, no less.")],
    until: Annotated[str, typer.Option(help="When the pin expires: an instant with offset, or +12h from now.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.")],
    mode: Annotated[
        str | None, typer.Option(help="Count the blocks in this mode only, others stay free; without it, those in any mode.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Pin a machine; the service re-plans at once around it.

    Example: `wattsplit pin enter pecos s21 --count 6 --mode eco --until +12h --owner "night shift"`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    content: dict[str, Any] = {
        "site": site, "machine": machine, "count": count, "owner": owner, "expires": iso(instant(until)), "reason": reason,
    }  # fmt: skip
    if mode is not None:
        content["mode"] = mode
    entry = running().post("/v1/pins", content)
    Say(as_json, quiet).result(entry, lambda console: console.print(f"pin {entry['entry_id']}: {in_words(entry)}"))


@app.command("list")
def list_(
    site: Annotated[str | None, typer.Option(help="Of this site only.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that expired or were taken back.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List the pins that stand.

    Example: `wattsplit pin list --site pecos`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    entries = list(running().list("/v1/pins", site=site, standing=None if everything else "true"))
    rows = [entry | entry["pin"] | {"what": what(entry["pin"])} for entry in entries]
    columns = HISTORY if everything else COLUMNS
    Say(as_json, quiet).result(entries, lambda console: console.print(rows_table(rows, columns, "no pins stand")))


@app.command()
def withdraw(
    entry: Annotated[str, typer.Argument(metavar="PIN", help="Id of the pin, as `pin list` shows it.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take a pin back; the service re-plans at once.

    Example: `wattsplit pin withdraw 3f0a…`
    """
    from service.cli.running import running

    withdrawn = running().delete(f"/v1/pins/{entry}")
    Say(as_json, quiet).result(withdrawn, lambda console: console.print(f"withdrawn: {in_words(withdrawn)}"))


def in_words(entry: dict[str, Any]) -> str:
    """Return a pin in words."""
    said = entry["pin"]
    return f"{what(said)} until {said['expires']} ({said['owner']})"


def what(said: dict[str, Any]) -> str:
    """Return what a pin holds."""
    return f"{said['count']} of {said['site']}/{said['machine']}" + (f" in {said['mode']}" if said["mode"] else "")
