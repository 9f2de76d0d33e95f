"""What keeps the service from starting is said in one line: which setting or store, and why."""

import sqlite3

import pytest

from service.store import open_store


@pytest.mark.parametrize(
    "url",
    ["mysql://u:canary@127.0.0.1/x", "store.db?canary", "sqlite://"],
    ids=["another-database", "no-url", "in-memory"],
)
def test_a_database_of_another_kind_is_refused_by_its_setting(wattsplit, url):
    ended = wattsplit("serve", "--port", "0", "--database-url", url)
    assert ended.code == 1
    assert ended.err.startswith("wattsplit: refused to start: WATTSPLIT_DATABASE_URL: expected ")
    assert len(ended.err.splitlines()) == 1
    assert "canary" not in ended.err


def test_a_file_that_is_no_store_is_left_alone(wattsplit, tmp_path):
    file = tmp_path / ".wattsplit" / "store.db"
    file.parent.mkdir()
    file.write_bytes(b"minutes of a meeting\n" * 500)
    ended = wattsplit("serve", "--port", "0")
    assert (ended.code, ended.err) == (1, "wattsplit: cannot start on the store in .wattsplit: file is not a database\n")
    assert file.read_bytes().startswith(b"minutes of a meeting")


def test_a_store_of_a_newer_release_is_left_to_it(wattsplit, tmp_path):
    file = tmp_path / ".wattsplit" / "store.db"
    open_store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    ended = wattsplit("serve", "--port", "0")
    assert ended.code == 1
    assert ended.err.startswith("wattsplit: cannot start on the store in .wattsplit: the store has schema '9999'")
    assert len(ended.err.splitlines()) == 1
