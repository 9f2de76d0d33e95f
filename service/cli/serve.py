"""`wattsplit serve`: the service, until Ctrl-C."""

from typing import Annotated

import typer

from service.cli.exits import CommandError, Exit
from service.cli.say import Quiet, Say


def serve(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 8080 if absent, 0 takes any that is free.")] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 if absent. A public one needs keys and a TLS proxy.")
    ] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder of store and keys; .wattsplit if absent.")] = None,
    database_url: Annotated[str | None, typer.Option(help="SQLite or PostgreSQL; a file in the data folder if absent.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Do not load the reference fleet into an empty store.")] = False,
    quiet: Quiet = False,
) -> None:
    """Serve API and page, plan now and every hour, hand set-points to sites, until Ctrl-C.

    A store that another process holds is waited for, 20 s at most; then it ends with exit code 7, and may be started again.
    The first start creates the store, loads the reference fleet, and prints an operator key and a one-time sign-in link.
    Settings come from the environment too (WATTSPLIT_PORT, WATTSPLIT_ASKED_GAP, …); what is given here wins.

    Example: `wattsplit serve --port 8080`
    """
    from service.cli.say import outlast_output
    from service.cli.serving import Serving
    from service.config import Settings, UnsafeSettingsError
    from service.store.database import StoreUnavailableError
    from service.store.migrate import SchemaTooNewError

    outlast_output()
    try:
        settings = Settings.from_environment(port=port, host=host, data_dir=data_dir, database_url=database_url)
        Serving(settings, Say(quiet=quiet), load_reference=not empty).until_stopped()
    except UnsafeSettingsError as error:
        raise CommandError(Exit.FAILED, f"refused to start: {error}") from None
    except (StoreUnavailableError, SchemaTooNewError) as error:
        where = f"in {data_dir or settings.data_dir}" if settings.database_url is None else "of WATTSPLIT_DATABASE_URL"
        raise CommandError(Exit.of_store(error), f"cannot start on the store {where}: {error}") from None
