"""`wattsplit log`: who did what, as the audit log of the running service has it."""

from itertools import islice
from typing import Annotated

import typer
from rich.console import Console

from service.cli.exits import CommandError, Exit
from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Read the audit log of the running service, and verify its chain.", no_args_is_help=True)

COLUMNS = ("number", "at", "who", "action", "subject")


@app.command("list")
def list_(
    action: Annotated[str | None, typer.Option(help="Lines of this action only, such as publish or event.add.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List lines of the audit log: when, who, did what to what; with --json also digests, request and detail.

    Examples: `wattsplit log list` · `wattsplit log list --action fleet.add` · `wattsplit log list --last 1000 --json > log.json`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    lines = list(islice(running().list("/v1/audit-log", action=action, limit=min(last, 500)), last))
    nothing = "no lines" if action is None else f"no lines of action {action}"
    Say(as_json, quiet).result(lines, lambda console: console.print(rows_table(lines, COLUMNS, nothing)))


@app.command()
def verify(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Recompute the chain of the audit log; exit 1 if a line was edited or taken out.

    Lines cut off at the end are not seen by that: compare number and digest with a copy kept elsewhere.

    Example: `wattsplit log verify`
    """
    from service.cli.running import running

    told = running().get("/v1/audit-log/verification")

    def show(console: Console) -> None:
        if told["intact"]:
            console.print(f"the chain holds: {told['number']} lines, the last with digest {told['chain']}")

    Say(as_json, quiet).result(told, show)
    if not told["intact"]:
        raise CommandError(
            Exit.FAILED, f"the chain is broken at line {told['broken_at']}: it was edited, or one before it is gone"
        )
