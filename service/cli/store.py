"""`wattsplit store`: the database of the service, worked on directly, whether a service runs on it or not."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.cli.exits import CommandError, Exit, usage
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from service.config import Settings
    from service.retention import Pruned
    from service.store import Store

app = typer.Typer(help="Delete what is old from the store of the service.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Delete what is old from the store of the service."""


@app.command()
def prune(
    older_than: Annotated[
        str | None, typer.Option(metavar="DAYS", help="P90D: what is more than 90 days old; WATTSPLIT_KEEP_HISTORY if absent.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    data_dir: Annotated[str | None, typer.Option(help="Folder of the store; .wattsplit if absent.")] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLite or PostgreSQL; a file in the data folder if absent.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Delete old plans, publications, jobs, points and tellings, and say how much of each; a service may run meanwhile.

    Never deleted are what is in force, the newest 500 publications, what the kept refers to, the last telling of every step
    of a series, the fleet, entries, keys and the audit log, which tells of it.

    Examples: `wattsplit store prune --dry-run` · `wattsplit store prune --older-than P90D`
    """
    from datetime import UTC, datetime

    from service.config import Settings
    from service.retention import cutoff, prune, would_prune
    from service.store.database import StoreUnavailableError

    settings = Settings.from_environment(data_dir=data_dir, database_url=database_url)
    before = cutoff(datetime.now(UTC), _kept(older_than, settings.keep_history))
    store = _opened(settings)
    try:
        if dry_run:
            found = would_prune(store, before, settings.data_dir)
        else:
            found = prune(store, before, settings.data_dir, by="wattsplit store prune", now=lambda: datetime.now(UTC))
    except StoreUnavailableError as error:
        words = f"the store does not answer; what is left is still there: {error}"
        raise CommandError(Exit.of_store(error), words) from None
    finally:
        store.close()
    say = Say(as_json, quiet)
    say.result(_told(found, deleted=not dry_run), lambda console: _show(found, console, deleted=not dry_run))
    if not dry_run and found.tables and settings.store_url.startswith("sqlite"):
        say.note("the file keeps its size: what became free in it is used before it grows again")


def _kept(older_than: str | None, keep: timedelta | None) -> timedelta:
    from service.config import kept_for

    try:
        span = kept_for(older_than) if older_than is not None else keep
    except ValueError as error:
        raise usage(f"--older-than: {error}") from None
    if span is None:
        raise usage("everything is kept for ever; say by --older-than what is to be deleted")
    return span


def _opened(settings: "Settings") -> "Store":
    """Return the store that there is; none is made.

    Raises:
        CommandError: there is none, it cannot be opened, or another process holds it (exit 7).
    """
    from pathlib import Path

    from service.store import open_store
    from service.store.database import StoreUnavailableError
    from service.store.migrate import SchemaTooNewError

    file = settings.store_url.removeprefix("sqlite:///")
    if settings.store_url.startswith("sqlite:///") and not Path(file).is_file():
        raise CommandError(Exit.FAILED, f"there is no store {file}; name its folder by --data-dir or WATTSPLIT_DATA_DIR")
    try:
        return open_store(settings.store_url)
    except ValueError as error:
        raise CommandError(Exit.FAILED, f"WATTSPLIT_DATABASE_URL: {error}") from None
    except (StoreUnavailableError, SchemaTooNewError) as error:
        raise CommandError(Exit.of_store(error), f"cannot open the store: {error}") from None


def _told(found: "Pruned", *, deleted: bool) -> dict[str, Any]:
    from models.base import iso

    tables = {table: amount._asdict() for table, amount in sorted(found.tables.items())}
    return {"before": iso(found.before), "deleted": deleted, **found.total._asdict(), "tables": tables}


def _show(found: "Pruned", console: Console, *, deleted: bool) -> None:
    from models.base import iso
    from service.cli.tables import table_of

    if not found.tables:
        console.print(f"nothing is older than {iso(found.before)} that may be deleted")
        return
    verb = "Deleted" if deleted else "Would be deleted"
    console.print(f"{verb}: what is older than {iso(found.before)}")
    table = table_of("", ["table"], ["rows", "bytes"])
    for name, amount in sorted(found.tables.items(), key=lambda item: -item[1].bytes):
        table.add_row(name, f"{amount.rows:,}", f"{amount.bytes:,}")
    table.add_section()
    table.add_row("all", f"{found.total.rows:,}", f"{found.total.bytes:,}")
    console.print(table)
