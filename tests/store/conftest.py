"""Every test of the store runs on SQLite, and on PostgreSQL where there is one."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text

from service.store import Store, open_store


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _absent(why: str) -> str:
    if os.environ.get("REQUIRE_POSTGRES") == "1":
        pytest.fail(f"REQUIRE_POSTGRES=1, and {why}")
    return pytest.skip(f"{why}; REQUIRE_POSTGRES=1 makes that a failure")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the URL of a PostgreSQL server: that of WATTSPLIT_TEST_POSTGRES, or one that is started here."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        _absent("psycopg is not installed (extra `postgres`)")
    if given := os.environ.get("WATTSPLIT_TEST_POSTGRES"):
        yield given
        return
    found = [shutil.which(name) for name in ("initdb", "postgres")]
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb, server = (
        path or str(places[-1] / name) if path or places else None
        for path, name in zip(found, ("initdb", "postgres"), strict=True)
    )
    if initdb is None or server is None:
        _absent("no initdb and postgres are on this machine")
    folder = Path(tempfile.mkdtemp(prefix="wattsplit-postgres-"))  # pytest closes its own folders to other accounts
    account = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            _absent("there is no account `postgres` to run the server as")
        account = {"user": owner.pw_uid, "group": owner.pw_gid}
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    data, port = folder / "data", _free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **account}
    subprocess.run([initdb, "-D", data, "-A", "trust", "-U", "postgres", "-N"], check=True, **quiet)
    options = ("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", folder)  # what is killed here is never the machine
    with (folder / "log").open("w") as log:
        run = subprocess.Popen([server, "-D", data, "-p", str(port), *options], **{**quiet, "stderr": log})
    try:
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        _wait(url)
        yield url
        assert run.poll() is None, (folder / "log").read_text()[-2_000:]
    finally:
        run.send_signal(signal.SIGINT)  # a fast shutdown: open connections are cut
        run.wait(20)
        shutil.rmtree(folder)


def _wait(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    for _ in range(100):
        try:
            with engine.connect():
                break
        except Exception:  # it is not up yet
            time.sleep(0.1)
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server = make_url(request.getfixturevalue("postgres")).set(drivername="postgresql+psycopg")
    name = f"w{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Return an empty store of each kind."""
    opened = open_store(url)
    yield opened
    opened.close()
