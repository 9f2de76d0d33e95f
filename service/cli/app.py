"""Assembles the commands, and turns every way a command can end into its exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from service.cli import (
    alarm,
    award,
    backtest,
    difficulty,
    doctor,
    event,
    feed,
    fleet,
    forecast,
    key,
    log,
    outage,
    pin,
    plan,
    scenario,
    schema,
    series,
    serve,
    site,
    store,
)
from service.cli.exits import MEANINGS, CommandError, Exit
from service.cli.say import complain
from service.config import UnsafeSettingsError

app = typer.Typer(
    name="wattsplit",
    epilog=MEANINGS,
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(plan.app, name="plan")
app.add_typer(scenario.app, name="scenario")
app.add_typer(backtest.app, name="backtest")
app.add_typer(forecast.app, name="forecast")
app.add_typer(fleet.app, name="fleet")
app.add_typer(site.app, name="site")
app.add_typer(series.app, name="series")
app.add_typer(feed.app, name="feed")
app.add_typer(event.app, name="event")
app.add_typer(outage.app, name="outage")
app.add_typer(pin.app, name="pin")
app.add_typer(award.app, name="award")
app.add_typer(difficulty.app, name="difficulty")
app.add_typer(alarm.app, name="alarm")
app.add_typer(log.app, name="log")
app.add_typer(key.app, name="key")
app.add_typer(store.app, name="store")
app.command("schema")(schema.schema)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the release and end.", is_eager=True)] = False,
) -> None:
    """Split a fleet's megawatts between Bitcoin mining and AI inference, hour by hour, with a proof beside every plan."""
    if version:
        from importlib.metadata import version as release

        print(f"wattsplit {release('wattsplit')}")
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = "--json" in arguments
    try:
        app(args=list(arguments), prog_name="wattsplit")
    except CommandError as error:
        complain(error, as_json=as_json)
        return error.code
    except UnsafeSettingsError as error:
        complain(CommandError(Exit.FAILED, f"{error}"), as_json=as_json)
        return Exit.FAILED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.DONE if end.code is None else Exit.FAILED
    except BrokenPipeError:  # the reader of our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        complain(CommandError(Exit.FAILED, f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")), as_json=as_json)
        return Exit.FAILED
    return Exit.DONE
