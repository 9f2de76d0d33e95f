"""`wattsplit series`: prices, hashprice, temperatures, limits and demand, into the running service and out of it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from service.cli.exits import CommandError, bad_input, usage
from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from service.cli.running import Running

PARQUET = "application/vnd.apache.parquet"

READ = (".json", ".yaml", ".yml", ".csv", ".parquet")

app = typer.Typer(help="Hand series to the service, and look at them.", no_args_is_help=True)


@app.command("import")
def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the series.")],
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON as the API takes it, or CSV or Parquet with columns start, value.")
    ],
    known_at: Annotated[
        str | None, typer.Option(help="When the source told the values: CSV, now if absent; Parquet, else its metadata says it.")
    ] = None,
    declaration: Annotated[
        str | None, typer.Option(help="CSV of a new series: a JSON or YAML file that declares what it is.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hand a series to the running service; it is kept whole or refused whole, with every faulty row (exit 3).

    Examples: `wattsplit series import HB_WEST prices.json` · `… import HB_WEST prices.csv --declaration hb_west.yaml`
    · `… import HB_WEST prices.parquet` (declaration and known_at in its metadata, as `series export` writes them)

    A CSV has the header `start,value` and rows such as `2026-11-22T08:00:00-06:00,31.5`. A new series declares what it is:

    `{name: HB_WEST, kind: price, subject: HB_WEST, unit: USD/MWh, zone: America/Chicago, resolution_s: 3600, curve_type: A01,
    source: the grid operator}`

    Kinds, with what `subject` names, and the unit:

    - `price`: market index, USD/MWh; or EUR/MWh, GBP/MWh, AUD/MWh, CAD/MWh, at the rates of a series of kind exchange
    - `exchange`: currency that prices or a contract are in, or BTC; USD/unit
    - `hashprice`: no subject; USD/PH/day
    - `difficulty`: network, hashes/2^32 · `fees`: network, BTC/block · `height`: network, blocks
    - `ambient`: temperature series of a site, degC
    - `carbon`: emissions of a grid, kg/MWh
    - `limit`: site, W (with `feeder` of one of its feeders)
    - `demand`: workload, tokens/h or micro-node-hours/h

    More: `{name: usd.eur, kind: exchange, subject: EUR, unit: USD/unit, …}` · `{name: fees, kind: fees, subject: BTC,
    unit: BTC/block, …}` · `{name: limit.pecos, kind: limit, subject: pecos, unit: W, …}`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.inputs import content_of, parse_document, refusing
    from service.cli.running import running
    from service.series_csv import read_csv

    if file != "-" and Path(file).suffix.lower() not in READ:
        raise usage(f"{file}: expected a name that ends with {', '.join(READ)}; a spreadsheet is saved as CSV")
    raw = content_of(file, "series", "a JSON, YAML, CSV or Parquet file")
    if file.lower().endswith(".parquet"):
        if declaration is not None:
            raise usage("--declaration: a Parquet file declares in its metadata what it is")
        said = {"known_at": iso(instant(known_at))} if known_at else {}
        headers = {"Content-Type": PARQUET, "Idempotency-Key": str(uuid.uuid4())}
        answer = running().ask("POST", f"/v1/series/{name}", content=raw, params=said, headers=headers)
        Say(as_json, quiet).result(receipt := answer.json(), lambda console: show_receipt(receipt, console))
        return
    table = file.lower().endswith(".csv")
    with by_lines(table), refusing(f"{file} as a series"):
        content = read_csv(raw, {"known_at": iso(instant(known_at or "now"))}) if table else parse_document(file, raw)
    if declaration is not None:
        with refusing(f"{declaration} as a declaration"):
            content["declaration"] = parse_document(declaration, content_of(declaration, "declaration"))
    with by_lines(table):
        receipt = running().post(f"/v1/series/{name}", content)
    Say(as_json, quiet).result(receipt, lambda console: show_receipt(receipt, console))


@app.command("show")
def show_(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of the series; all series are listed if absent.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First instant, with offset; the last 24 hours if absent.")] = None,
    until: Annotated[str | None, typer.Option(help="Last instant, with offset.")] = None,
    known_by: Annotated[str | None, typer.Option(help="As it was known at this instant.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show the values of a series, or list all series.

    Examples: `wattsplit series show` · `wattsplit series show HB_WEST --from 2026-11-22T00:00:00Z`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.running import running

    say = Say(as_json, quiet)
    if name is None:
        listed = running().get("/v1/series")["items"]
        say.result(listed, lambda console: show_list(listed, console))
        return
    asked = {"start": start, "end": until, "known_by": known_by}
    service, query = running(), {part: iso(instant(text)) for part, text in asked.items() if text}
    found = service.get(f"/v1/series/{name}", **query)
    if not found["points"]:
        say.note(nothing(service, name, query))
    say.result(found, lambda console: show_values(found, console))


@app.command("export")
def export_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the series.")],
    out: Annotated[Path, typer.Option(help="File to write; its ending, .csv, .json or .parquet, says in which format.")],
    start: Annotated[str | None, typer.Option("--from", help="First instant, with offset; the last 24 hours if absent.")] = None,
    until: Annotated[str | None, typer.Option(help="Last instant, with offset.")] = None,
    known_by: Annotated[str | None, typer.Option(help="As it was known at this instant.")] = None,
) -> None:
    """Write the values of a series to a file; Parquet carries the declaration and goes in again as it is.

    Where there is nothing to write, no file is written, and it is said what there is (exit 3).

    Example: `wattsplit series export HB_WEST --out prices.parquet --from 2026-11-01T00:00Z --known-by 2026-11-20T12:00Z`
    """
    from models.base import iso
    from service.cli.durations import instant
    from service.cli.inputs import write
    from service.cli.running import running

    formats = {".csv": "text/csv", ".json": "application/json", ".parquet": PARQUET}
    if (wanted := formats.get(out.suffix.lower())) is None:
        raise usage(f"--out {out}: expected a name that ends with {', '.join(formats)}")
    asked = {"start": start, "end": until, "known_by": known_by}
    query = {part: iso(instant(text)) for part, text in asked.items() if text}
    service = running()
    if not service.get(f"/v1/series/{name}", **query)["points"]:
        raise bad_input(f"{out} is not written: {nothing(service, name, query)}")
    write(out, service.ask("GET", f"/v1/series/{name}", params=query, headers={"Accept": wanted}).content)


@contextmanager
def by_lines(table: bool) -> Iterator[None]:
    """Put the line of the table into the words of every fault that the block is refused for."""
    from models.reading import Refusal
    from service.series_csv import by_line

    try:
        yield
    except CommandError as error:
        if not table:
            raise
        faults = [fault | by_line([Refusal.model_validate(fault)])[0].model_dump() for fault in error.faults]
        raise CommandError(error.code, error.message, faults) from None


def nothing(service: "Running", name: str, asked: dict[str, str]) -> str:
    """Say that a series has no values in what was asked for, and what it has."""
    head = next(head for head in service.get("/v1/series")["items"] if head["declaration"]["name"] == name)
    parts = {"start": "from", "end": "until", "known_by": "as known at"}
    span = " ".join(f"{words} {asked[part]}" for part, words in parts.items() if part in asked) or "in the last 24 hours or ahead"
    has = f"it has values from {head['start']} until {head['end']}" if head["start"] else "it has none at all"
    return f"series {name} has no values {span}; {has}"


def show_receipt(receipt: dict[str, Any], console: Console) -> None:
    """Print what became of a series that was handed in."""
    console.print(
        f"{receipt['name']}: {receipt['stored']} values kept, {receipt['known']} known before, "
        f"{receipt['start']} to {receipt['end']}"
    )
    for flagged in receipt["flagged"]:
        console.print(f"[yellow]{flagged['flag']}[/yellow]: {flagged['steps']} steps, from {flagged['starts'][0]}")


def show_list(listed: list[dict[str, Any]], console: Console) -> None:
    """Print what series there are and whether they are overdue."""
    from service.cli.tables import rows_table

    rows = []
    for head in listed:
        declared, stale = head["declaration"], "yes" if head["stale"] else "no"
        rows.append(declared | {"subject": subject(declared), "newest": head["newest_known_at"], "stale": stale})
    columns = ("name", "kind", "subject", "unit", "zone", "resolution_s", "newest", "stale", "source")
    console.print(rows_table(rows, columns, "no series is told of yet; `wattsplit series import --help` says how"))


def show_values(found: dict[str, Any], console: Console) -> None:
    """Print the values of one series."""
    from service.cli.tables import rows_table

    declared = found["declaration"]
    console.print(f"[b]{declared['name']}[/b] · {declared['kind']} of {subject(declared) or 'the market'} in {declared['unit']}")
    console.print(rows_table(found["points"], ("start", "value", "known_at", "flags"), "no values"))


def subject(declared: dict[str, Any]) -> str | None:
    """Return what a series is of: a name, or a feeder of a site."""
    return f"{declared['subject']}/{declared['feeder']}" if declared.get("feeder") else declared["subject"]
