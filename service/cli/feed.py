"""`wattsplit feed`: the sources from which the service fetches series by itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.cli.exits import CommandError, Exit
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from service.feeds.told import Batch

app = typer.Typer(help="Look at feeds, try them, and ask them now.", no_args_is_help=True)


@app.command("list")
def list_(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """List the feeds of the running service: last success, last error, newest value, and whether they are stale.

    Example: `wattsplit feed list`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    listed = running().get("/v1/feeds")["items"]
    rows = [feed | {"stale": "yes" if feed["stale"] else "no"} for feed in listed]
    columns = ("name", "kind", "last_success_at", "newest_known_at", "stale", "failures", "next_poll_at", "last_error")
    nothing = "the service asks no feeds: WATTSPLIT_FEEDS_FILE names none; `wattsplit feed check --help` shows a file of them"
    Say(as_json, quiet).result(listed, lambda console: console.print(rows_table(rows, columns, nothing)))


@app.command("check")
def check_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the feed in the file.")],
    file: Annotated[
        str | None, typer.Option(help="File of feeds, YAML or JSON; the one that WATTSPLIT_FEEDS_FILE names if absent.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Ask a feed and check what it tells against the table of defects, without storing or moving anything.

    Needs no running service; what is known of a series before is not looked at.

    Examples: `wattsplit feed check network --file feeds.yaml` · `wattsplit schema feeds` says what a file holds

    A file: `{feeds: [{kind: weather, name: houston, url: "https://customer-api.open-meteo.com/v1/forecast", key_env:
    OPEN_METEO_KEY, subject: houston, latitude: 29.76, longitude: -95.37, licence: "CC BY 4.0, commercial plan"}]}`
    """
    import os
    from datetime import UTC, datetime
    from pathlib import Path

    from service.cli.inputs import refusing
    from service.config import Settings
    from service.feeds.feeds_file import read_feeds
    from service.feeds.told import FeedError, without_secrets

    source = file or Settings.from_environment().feeds_file
    if source is None:
        raise CommandError(Exit.USAGE, "name a file by --file or in WATTSPLIT_FEEDS_FILE")
    with refusing(f"{source} as feeds"):
        feeds = {feed.name: feed for feed in read_feeds(Path(source)).feeds}
    if name not in feeds:
        raise CommandError(Exit.BAD_INPUT, f"{source} has no feed {name}; it has {', '.join(feeds) or 'none'}")
    say = Say(as_json, quiet)
    say.note(f"asking {name} …")
    now = datetime.now(UTC)
    try:
        batches = feeds[name].poll(now, os.environ)
    except FeedError as error:
        raise CommandError(Exit.FAILED, f"feed {name}: {without_secrets(str(error), feeds[name], os.environ)}") from None
    found = [part for batch in batches for part in _checked(batch, now)]
    say.result(found, lambda console: _show(found, console))
    if faults := [fault for part in found for fault in part["errors"]]:
        raise CommandError(Exit.BAD_INPUT, f"feed {name} tells what is refused: {len(faults)} fault(s)", faults)


@app.command("poll")
def poll_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the feed.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Have the running service ask a feed at once, and keep what it tells; exit 1 if that fails.

    Example: `wattsplit feed poll network`
    """
    from service.cli.running import running
    from service.cli.series import show_receipt

    answer = running().ask("POST", f"/v1/feeds/{name}/polls").json()

    def show(console: Console) -> None:
        for receipt in answer["receipts"]:
            show_receipt(receipt, console)
        if answer["state"] == "running":
            console.print(f"{name} is still being asked; `wattsplit feed list` will tell")

    Say(as_json, quiet).result(answer, show)
    if answer["error"]:
        raise CommandError(Exit.FAILED, f"feed {name}: {answer['error']}")


def _checked(batch: "Batch", now: Any) -> list[dict[str, Any]]:
    """Return what the table of defects says of each series of a batch."""
    from models.base import iso
    from models.reading import BadInputError
    from service.series_flags import Known
    from service.series_intake import take_in

    if batch.refusals:
        return [{"series": batch.what, "points": 0, "flags": [], "errors": [fault.model_dump() for fault in batch.refusals]}]
    found = []
    for told in batch.told:
        said = told.content
        row: dict[str, Any] = {"series": told.series, "points": len(said.points), "flags": [], "errors": []}
        try:
            if said.declaration is None:
                row["flags"] = ["declared elsewhere: only the service can check it"]
            else:
                points = take_in(
                    said.declaration, said.points, known_at=said.known_at, known=Known(now=now), local_days=said.local_days,
                    end=said.end,
                )  # fmt: skip
                row |= {"from": iso(points[0].start), "first": points[0].value, "unit": said.declaration.unit}
                row["flags"] = sorted({flag for point in points for flag in point.flags})
        except BadInputError as error:
            row["errors"] = [fault.model_dump() for fault in error.refusals]
        found.append(row)
    return found


def _show(found: Sequence[dict[str, Any]], console: Console) -> None:
    from service.cli.tables import rows_table

    rows = [row | {"flags": " ".join(row["flags"]), "refused": len(row["errors"])} for row in found]
    console.print(rows_table(rows, ("series", "points", "from", "first", "unit", "flags", "refused")))
