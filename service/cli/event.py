"""`wattsplit event`: limit orders of a utility or an operator; each re-plans at once."""

from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from service.cli.amounts import megawatts
from service.cli.exits import usage
from service.cli.say import AsJson, Quiet, Say

app = typer.Typer(help="Order a site below a limit, and take orders back.", no_args_is_help=True)

Kind = Literal["curtailment", "outage", "demand_response", "emergency_stop"]


@app.command()
def order(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Name of the site.")],
    limit_mw: Annotated[
        float | None, typer.Option(parser=megawatts, metavar="MW", help="Most power at the meter in MW; 0 makes the site dark.")
    ] = None,
    start: Annotated[str, typer.Option("--from", help="Instant with offset, `now`, or +12h from now.")] = "now",
    until: Annotated[str | None, typer.Option(help="Instant with offset, or +12h from now; open if absent.")] = None,
    kind: Annotated[Kind, typer.Option(help="Why.")] = "curtailment",
    reason: Annotated[str, typer.Option(help="For people.")] = "",
    reserve: Annotated[str | None, typer.Option(help="The reserve programme whose call it is.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Enter a limit order; the service re-plans at once.

    Example: `wattsplit event order pecos --limit-mw 3 --until +12h --reason "ERCOT EEA 2"`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    if limit_mw is None:
        if kind != "emergency_stop":
            raise usage("an order needs --limit-mw; only an emergency stop is 0 MW by itself")
        limit_mw = 0.0
    content: dict[str, Any] = {"kind": kind, "site": site, "limit_w": round(limit_mw * 1e6), "reason": reason}
    if start != "now":
        content["start"] = iso(instant(start))
    if until is not None:
        content["end"] = iso(instant(until))
    if reserve is not None:
        content["reserve"] = reserve
    event = running().post("/v1/events", content)
    say = Say(as_json, quiet)

    def show(console: Console) -> None:
        console.print(f"order {event['event_id']}: {in_words(event)}")

    say.result(event, show)
    for caution in event["cautions"]:
        say.warn(caution)


@app.command("list")
def list_(
    site: Annotated[str | None, typer.Option(help="Of this site only.")] = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """List orders, also those that were withdrawn.

    Example: `wattsplit event list --site pecos`
    """
    from service.cli.running import running
    from service.cli.tables import rows_table

    events = list(running().list("/v1/events", site=site))
    rows = [event | event["order"] | {"what": in_words(event)} for event in events]
    columns = ("event_id", "what", "withdrawn_at", "reason")
    Say(as_json, quiet).result(events, lambda console: console.print(rows_table(rows, columns, "no orders")))


@app.command()
def withdraw(
    event_id: Annotated[str, typer.Argument(metavar="EVENT", help="Id of the order, as `event list` shows it.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take an order back; the service re-plans at once.

    Example: `wattsplit event withdraw 3f0a…`
    """
    from service.cli.running import running

    event = running().delete(f"/v1/events/{event_id}")
    Say(as_json, quiet).result(event, lambda console: console.print(f"withdrawn: {in_words(event)}"))


def in_words(event: dict[str, Any]) -> str:
    """Return an order in words."""
    order = event["order"]
    until = f"until {order['end']}" if order["end"] else "until it is withdrawn"
    return f"{order['site']} at most {order['limit_w'] / 1e6:g} MW from {order['start']} {until} ({event['kind']})"
