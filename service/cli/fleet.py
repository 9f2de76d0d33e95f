"""`wattsplit fleet`: one's own fleet, from a commented template to the running service and back."""

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from service.cli.say import AsJson, Quiet, Say

if TYPE_CHECKING:
    from models.fleet import Fleet

app = typer.Typer(help="Write, check, import and export a fleet.", no_args_is_help=True)


@app.command()
def template() -> None:
    """Print a commented fleet to start from.

    Example: `wattsplit fleet template > my-fleet.yaml`
    """
    print((files("scenarios") / "template_fleet.yaml").read_text(), end="")


@app.command()
def validate(
    file: Annotated[str, typer.Argument(help="A fleet in YAML or JSON; - reads JSON from standard input.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a fleet without a service; every fault is listed at once (exit 3).

    Example: `wattsplit fleet validate my-fleet.yaml`
    """
    from service.cli.inputs import read_fleet

    fleet = read_fleet(file)
    megawatts = sum(site.connection_limit_w for site in fleet.sites) / 1e6
    content = {"name": fleet.name, "sites": len(fleet.sites), "workloads": len(fleet.workloads), "connection_mw": megawatts}

    def show(console: Console) -> None:
        console.print(
            f"{fleet.name} is complete: {len(fleet.sites)} sites, {megawatts:,.1f} MW, {len(fleet.workloads)} workloads"
        )

    Say(as_json, quiet).result(content, show)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help="A fleet in YAML or JSON; - reads JSON from standard input.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hand a fleet to the running service; it becomes the newest version and is planned at once.

    Example: `WATTSPLIT_KEY=… wattsplit fleet import my-fleet.yaml`
    """
    from service.cli.inputs import read_fleet
    from service.cli.running import running

    fleet = read_fleet(file)
    service, say = running(), Say(as_json, quiet)
    answer = service.put("/v1/fleet", fleet.model_dump(mode="json"))
    say.result(answer, lambda console: console.print(f"{fleet.name} is version {answer['version']} of the fleet"))
    if missing := series_missing(fleet, service.get("/v1/series")["items"]):
        say.note(f"planning needs series that nobody has posted yet: {missing}; see `wattsplit series import --help`")
        say.note("post hashprice last: with it planning begins, and what is missing then has stand-ins, named in the plan")


def series_missing(fleet: "Fleet", posted: list[dict[str, Any]]) -> str:
    """Name the series that a fleet of one's own needs and that are not declared; the reference fleet's are replayed."""
    from scenarios.reference import reference_fleet

    if fleet == reference_fleet():
        return ""
    needed = {("price", name) for site in fleet.sites for name in site.price_names}
    needed |= {("ambient", site.ambient) for site in fleet.sites} | {("demand", w.name) for w in fleet.workloads}
    needed |= {("exchange", site.contract.currency) for site in fleet.sites if site.contract.kind == "foreign"}
    needed |= {("carbon", site.carbon.intensity) for site in fleet.sites if site.carbon and site.carbon.intensity}
    known = {(item["declaration"]["kind"], item["declaration"]["subject"]) for item in posted}
    missing = [f"{kind} {subject}" for kind, subject in sorted(needed - known)]
    return ", ".join(missing + ([] if ("hashprice", None) in known else ["hashprice"]))


@app.command()
def export(
    form: Annotated[Literal["yaml", "json"], typer.Option("--format", help="How to write it.")] = "yaml",
    out: Annotated[Path | None, typer.Option(help="Where to write it; standard output if absent.")] = None,
    reference: Annotated[bool, typer.Option("--reference", help="The reference fleet; needs no service.")] = False,
    quiet: Quiet = False,
) -> None:
    """Write the fleet of the running service, or the reference fleet, as a file that `fleet import` takes.

    Example: `wattsplit fleet export --out fleet.yaml`
    """
    from models.fleet import Fleet
    from models.reading import parse
    from scenarios.fleet_file import as_json, write_fleet
    from scenarios.reference import reference_fleet
    from service.cli.inputs import refusing, write
    from service.cli.running import running

    if reference:
        found = reference_fleet()
    else:
        with refusing("the service's fleet"):
            found = parse(Fleet, running().get("/v1/fleet")["fleet"])
    text = as_json(found) + "\n" if form == "json" else write_fleet(found)
    if out is None:
        print(text, end="")
        return
    write(out, text)
    Say(quiet=quiet).note(f"wrote {out}")
