"""`wattsplit store prune`: what it foresees is what it does, whatever is asked wrongly is answered in words."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from aged import DAY, Past

from service.store import Store, open_store


@pytest.fixture
def aged(tmp_path: Path) -> Store:
    """A store of 90 days in the folder `data`."""
    store = open_store(f"sqlite:///{tmp_path / 'data' / 'store.db'}")
    now = datetime.now(UTC)
    Past(store, Random(4)).fill(now - 90 * DAY, now, every=2 * DAY)
    yield store
    store.close()


PRUNE = ("store", "prune", "--data-dir", "data")


def test_what_would_be_deleted_is_what_is_deleted(wattsplit, aged, tmp_path):
    log = aged.audit_log.head()
    foreseen = wattsplit(*PRUNE, "--older-than", "P30D", "--dry-run", "--json").json
    assert aged.audit_log.head() == log
    done = wattsplit(*PRUNE, "--older-than", "P30D", "--json").json
    assert (foreseen.pop("deleted"), done.pop("deleted")) == (False, True)
    assert done == foreseen
    assert {"job", "plan", "problem", "scenario", "series_point", "telemetry"} <= set(done["tables"])
    assert done["bytes"] == sum(table["bytes"] for table in done["tables"].values()) > 50_000
    midnight = (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%dT00:00:00Z")
    assert done["before"] == midnight
    line = aged.audit_log.page(limit=1).items[0]
    assert (line.who, line.action, line.subject) == ("wattsplit store prune", "history.pruned", f"what is older than {midnight}")
    assert line.detail["rows"] == {name: table["rows"] for name, table in done["tables"].items()}
    again = wattsplit(*PRUNE, "--older-than", "P30D")
    assert (again.code, again.out) == (0, f"nothing is older than {midnight} that may be deleted\n")


def test_people_see_a_table_and_that_the_file_keeps_its_size(wattsplit, aged):
    told = wattsplit(*PRUNE, "--older-than", "P30D", "--dry-run")
    assert "Would be deleted: what is older than" in told.out
    assert "telemetry" in told.out
    assert "keeps its size" not in told.err
    told = wattsplit(*PRUNE, "--older-than", "p30d")
    assert "Deleted: what is older than" in told.out
    assert "keeps its size" in told.err


def test_the_setting_counts_where_nothing_is_said(wattsplit, aged):
    assert wattsplit(*PRUNE).out.startswith("nothing is older than")
    assert "plan" in wattsplit(*PRUNE, "--dry-run", "--json", WATTSPLIT_KEEP_HISTORY="P30D").json["tables"]
    forever = wattsplit(*PRUNE, WATTSPLIT_KEEP_HISTORY="forever")
    assert (forever.code, "say by --older-than what is to be deleted" in forever.err) == (2, True)


def test_a_file_that_is_no_store_and_one_that_another_process_holds_are_left_alone(wattsplit, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "store.db").write_bytes(b"no database, though the file is there")
    ended = wattsplit(*PRUNE)
    assert (ended.code, "cannot open the store: file is not a database" in ended.err) == (1, True), ended.err
    (tmp_path / "data" / "store.db").unlink()
    open_store(f"sqlite:///{tmp_path / 'data' / 'store.db'}").close()
    holder = sqlite3.connect(tmp_path / "data" / "store.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    ended = wattsplit(*PRUNE)
    assert (ended.code, "cannot open the store: another process holds" in ended.err) == (7, True), ended.err
    holder.close()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--older-than", "P9D"], 2, "--older-than: expected days such as P400D, at least P30D, or forever; got 'P9D'"),
        (["--older-than", "90"], 2, "expected days such as P400D"),
        (["--older-than", "P3M"], 2, "expected days such as P400D"),
        (["--data-dir", "elsewhere"], 1, "there is no store elsewhere/store.db; name its folder by --data-dir"),
        (["--database-url", "mysql://x"], 1, "WATTSPLIT_DATABASE_URL: expected a sqlite:// or postgresql:// URL"),
    ],
)
def test_what_is_asked_wrongly_is_answered_in_words(wattsplit, words, code, said, tmp_path):
    ended = wattsplit("store", "prune", *words)
    assert (ended.code, said in ended.err) == (code, True), ended.err
    assert list(tmp_path.iterdir()) == []
