"""`wattsplit alarm`: what somebody must know, as the service raised it."""

from itertools import islice
from typing import Annotated

import typer

from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Look at the alarms of the running service.", no_args_is_help=True)


@app.command("list")
def list_(
    code: Annotated[str | None, typer.Option(help="Of this code only, such as fallback or input_missing.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """List alarms: when each was raised, its code, and what happened in words. They are kept in the audit log for ever.

    Whether something is wrong now, `wattsplit doctor` says.

    Examples: `wattsplit alarm list` · `wattsplit alarm list --code fallback --last 100`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    told = running().list("/v1/audit-log", action="alarm", limit=min(last, 500) if code is None else 500)
    lines = list(islice((line for line in told if code in (None, line["subject"])), last))
    rows = [line | {"code": line["subject"], "words": line["detail"].get("words")} for line in lines]
    nothing = "no alarms" if code is None else f"no alarms of code {code}"
    Say(as_json, quiet).result(lines, lambda console: console.print(rows_table(rows, ("at", "code", "words"), nothing)))
