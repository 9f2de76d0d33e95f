"""The store keeps what it confirmed, once, unchanged, and says no to the rest; on SQLite and on PostgreSQL alike."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from served import START, Served, fleet, planned
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DatabaseError

from models.order import LimitOrder
from models.setpoint import SetPoint
from service.documents import documents
from service.store import Store, open_store
from service.store.acknowledgements import AckOrderError, UnknownVersionError
from service.store.common import ConflictError, StoreError
from service.store.database import Database
from service.store.migrate import SchemaTooNewError
from service.store.plans import UnauditedPlanError
from service.store.publications import AlreadyPublishedError, StaleEpochError
from service.store.records import StoredTelemetry, TelemetryPoint
from service.store.schema import NEVER_DELETED, WRITTEN_ONCE, metadata
from service.store.schema import job as job_table
from service.store.types import UtcDateTime

HOUR = timedelta(hours=1)


def database(store: Store) -> Database:
    return store._database


def measured(n: int, draw_w: int = 5) -> StoredTelemetry:
    return StoredTelemetry(point=TelemetryPoint(at=START + timedelta(seconds=n), draw_w=draw_w), received_at=START)


def publish(store: Store, occasion: str = "hourly", *, epoch: int = 0, slot: datetime = START, spoil=lambda made: made):
    problem, plan = planned()
    store.plans.add(problem, plan)

    def make(version: int) -> dict[str, SetPoint]:
        made = documents(
            plan, fleet().site_by_name, version=version, epoch=epoch, issued=START, input_digest=problem.digest, audit=plan.audit,
            standing={}, reasons={},
        )  # fmt: skip
        return spoil(made)

    return store.publications.publish(
        unit="fleet", slot=slot, occasion=occasion, epoch=epoch, plan_id=plan.plan_id, basis=plan.basis, at=START, documents=make
    )


# --- schema -----------------------------------------------------------------------------------------------------------


def test_migrations_make_the_schema_that_the_code_knows(store: Store):
    with database(store).read() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    meant = [d for d in differences if d[0] not in ("modify_type",) and "alembic_version" not in str(d)]
    assert meant == []


def test_a_store_is_opened_again_as_it_was_left(url: str):
    first = open_store(url)
    publish(first)
    first.close()
    second = open_store(url)
    assert second.publications.setpoint("pecos").version == 1
    assert second.plans.get(planned()[1].plan_id) == planned()[1]
    assert second.plans.problem(planned()[0].digest) == planned()[0]
    second.close()


def test_a_newer_schema_is_refused_untouched(url: str):
    open_store(url).close()
    newer = Database(url)
    with newer.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    newer.close()
    with pytest.raises(SchemaTooNewError, match="9999"):
        open_store(url)


def test_another_kind_of_database_is_refused():
    for url in ("mysql://localhost/x", "sqlite://"):
        with pytest.raises(ValueError, match="expected a"):
            Database(url)


def test_sqlite_commits_are_on_the_disk(tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    with database(store).read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "delete", "synchronous": 2, "foreign_keys": 1}
    assert (tmp_path / "store.db").stat().st_mode & 0o077 == 0
    store.close()


def test_naive_instants_are_refused_and_others_come_back_in_utc(store: Store):
    with pytest.raises(ValueError, match="offset"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), None)
    local = datetime(2026, 11, 22, 3, tzinfo=timezone(-timedelta(hours=5)))
    row = {
        "id": "x",
        "number": 1,
        "kind": "plan",
        "state": "queued",
        "created_at": local,
        "created_by": "t",
        "payload": {},
        "progress": {},
    }
    with database(store).write() as connection:
        connection.execute(insert(job_table).values(**row))
        back = connection.execute(select(job_table.c.created_at)).scalar_one()
    assert back == local
    assert back.utcoffset() == timedelta(0)


def test_what_is_written_once_cannot_be_changed(store: Store):
    publish(store)
    store.fleets.add(fleet(), by="test", at=START)
    store.telemetry.add("pecos", [measured(0)])
    store.acknowledgements.add("pecos", 1, "applied", at=START, received_at=START)
    column = {table: metadata.tables[table].primary_key.columns.values()[0].name for table in WRITTEN_ONCE}
    forbidden = [f"UPDATE {table} SET {column[table]} = {column[table]}" for table in WRITTEN_ONCE]
    forbidden += [f"DELETE FROM {table}" for table in NEVER_DELETED]
    for statement in forbidden:
        with pytest.raises(DatabaseError, match="written once"), database(store).write() as connection:
            connection.execute(text(statement))


# --- transactions -----------------------------------------------------------------------------------------------------


def test_several_calls_are_one_commit_or_none(store: Store):
    def fails() -> None:
        with store.transaction():
            store.telemetry.add("pecos", [measured(0)])
            store.fleets.add(fleet(), by="test", at=START)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert store.telemetry.count("pecos") == 0
    assert store.fleets.newest() is None
    with store.transaction():
        store.telemetry.add("pecos", [measured(0)])
        store.fleets.add(fleet(), by="test", at=START)
    assert store.telemetry.count("pecos") == 1
    assert store.fleets.newest().version == 1


def test_many_threads_write_and_read_without_a_lock_error(store: Store):
    def work(n: int) -> int:
        stored = store.telemetry.add(f"site-{n % 4}", [measured(n)])
        store.telemetry.newest(f"site-{n % 4}")
        store.audit_log.append("test", "work", str(n), at=START)
        return stored

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(work, range(40))) == 40
    assert sum(store.telemetry.count(f"site-{n}") for n in range(4)) == 40
    assert store.audit_log.head()[0] == 40
    assert store.audit_log.broken_at() is None


# --- publication ------------------------------------------------------------------------------------------------------


def test_a_publication_is_whole_or_not_at_all(store: Store):
    def fails(made):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        publish(store, spoil=fails)
    assert store.publications.newest() is None
    assert publish(store).version == 1
    assert set(store.publications.setpoints(1)) == {"pecos", "kiruna"}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda made: {}, "without documents"),
        (lambda made: {"pecos": made["kiruna"]}, "for kiruna"),
        (lambda made: {"pecos": made["pecos"].model_copy(update={"version": 7})}, "version 7"),
        (lambda made: {"pecos": made["pecos"].model_copy(update={"audit_passed": False})}, "did not pass"),
    ],
)
def test_a_document_that_does_not_fit_is_not_published(store: Store, spoil, words):
    with pytest.raises(StoreError, match=words):
        publish(store, spoil=spoil)
    assert store.publications.newest() is None


def test_a_slot_is_published_once_per_occasion_and_versions_rise(store: Store):
    assert [publish(store, occasion).version for occasion in ("start", "hourly", "event-1")] == [1, 2, 3]
    with pytest.raises(AlreadyPublishedError):
        publish(store)
    assert publish(store, slot=START + HOUR).version == 4
    assert [p.occasion for p in store.publications.of_slot("fleet", START)] == ["start", "hourly", "event-1"]
    assert store.publications.setpoint("pecos").version == 4


def test_threads_that_publish_the_same_slot_publish_once(store: Store):
    planned()

    def attempt(_: int) -> str:
        try:
            return str(publish(store).version)
        except AlreadyPublishedError:
            return "refused"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))
    assert sorted(outcomes) == ["1", *["refused"] * 7]


def test_a_deposed_leader_cannot_publish(store: Store):
    first = store.leases.acquire("fleet", "a", at=START, ttl_s=30)
    assert first.epoch == 1
    publish(store, epoch=1)
    assert store.leases.acquire("fleet", "b", at=START + timedelta(seconds=29), ttl_s=30) is None
    second = store.leases.acquire("fleet", "b", at=START + timedelta(seconds=31), ttl_s=30)
    assert second.epoch == 2
    with pytest.raises(StaleEpochError, match="epoch 2 leads"):
        publish(store, epoch=1, slot=START + HOUR)
    assert publish(store, epoch=2, slot=START + HOUR).version == 2
    assert store.leases.acquire("fleet", "b", at=START + HOUR, ttl_s=30).epoch == 2


def test_a_plan_without_a_passed_audit_is_not_kept(store: Store):
    problem, plan = planned()
    for audit in (None, plan.audit.model_copy(update={"passed": False, "broken": ("pecos step 3: draws too much",)})):
        with pytest.raises(UnauditedPlanError):
            store.plans.add(problem, plan.model_copy(update={"audit": audit}))
    with pytest.raises(ConflictError, match="answers"):
        store.plans.add(problem, plan.model_copy(update={"problem_digest": "sha256:0"}))
    assert store.plans.newest() is None


def test_a_plan_is_kept_once_and_never_under_two_contents(store: Store):
    problem, plan = planned()
    store.plans.add(problem, plan)
    store.plans.add(problem, plan)
    assert len(store.plans.page().items) == 1
    with pytest.raises(ConflictError, match="other decisions"):
        store.plans.add(problem, plan.model_copy(update={"money": ()}))


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_acknowledgements_follow_their_order(store: Store):
    with pytest.raises(UnknownVersionError):
        store.acknowledgements.add("pecos", 1, "received", at=START, received_at=START)
    publish(store)
    add = store.acknowledgements.add
    for state in ("received", "accepted", "applied", "failed", "applied", "superseded"):
        add("pecos", 1, state, at=START, received_at=START)
    with pytest.raises(AckOrderError, match="nothing more"):
        add("pecos", 1, "applied", at=START, received_at=START)
    assert store.acknowledgements.newest("pecos").state == "superseded"
    assert store.acknowledgements.newest("kiruna") is None


def test_a_job_ends_once(store: Store):
    jobs = store.jobs
    jobs.add("a", "plan", {"x": 1}, by="test", at=START)
    assert jobs.add("a", "plan", {"x": 1}, by="test", at=START + HOUR).created_at == START
    with pytest.raises(ConflictError):
        jobs.add("a", "plan", {"x": 2}, by="test", at=START)
    assert jobs.claim("w1", at=START, lease_s=30).job_id == "a"
    assert jobs.claim("w2", at=START, lease_s=30) is None
    assert jobs.heartbeat("a", "w1", at=START, lease_s=30, progress={"gap_percent": 1.5})
    assert not jobs.heartbeat("a", "w2", at=START, lease_s=30)
    assert not jobs.finish("a", "w2", "done", at=START)
    assert jobs.finish("a", "w1", "done", at=START, result={"plan_id": "p"})
    assert not jobs.finish("a", "w1", "failed", at=START)
    job = jobs.get("a")
    assert (job.state, job.result, job.progress) == ("done", {"plan_id": "p"}, {"gap_percent": 1.5})
    assert jobs.ask_cancel("a", at=START).state == "done"


def test_a_cancelled_job_writes_no_result(store: Store):
    jobs = store.jobs
    jobs.add("a", "plan", {}, by="test", at=START)
    jobs.claim("w", at=START, lease_s=30)
    assert jobs.ask_cancel("a", at=START).state == "running"
    assert not jobs.heartbeat("a", "w", at=START, lease_s=30)
    assert not jobs.finish("a", "w", "done", at=START, result={})
    assert jobs.finish("a", "w", "cancelled", at=START)
    assert jobs.get("a").state == "cancelled"


def test_jobs_of_a_dead_worker_end_or_wait_again(store: Store):
    for name in ("a", "b", "c"):
        store.jobs.add(name, "plan", {}, by="test", at=START)
        store.jobs.claim("dead", at=START, lease_s=30)
    store.jobs.ask_cancel("c", at=START)
    assert store.jobs.expire(at=START + timedelta(seconds=29)) == []
    store.jobs.heartbeat("b", "dead", at=START + timedelta(seconds=29), lease_s=30)
    late = START + timedelta(seconds=31)
    assert {job.job_id: job.state for job in store.jobs.expire(at=late)} == {"a": "failed", "c": "cancelled"}
    assert store.jobs.get("a").problem["code"] == "worker_lost"
    assert [job.state for job in store.jobs.expire(at=late + HOUR, requeue=True)] == ["queued"]
    assert store.jobs.claim("w", at=late, lease_s=30).job_id == "b"


def test_every_queued_job_is_claimed_by_one_worker(store: Store):
    for n in range(10):
        store.jobs.add(f"job-{n}", "scenario", {}, by="test", at=START)

    def worker(name: int) -> list[str]:
        mine = []
        while (job := store.jobs.claim(f"w{name}", at=START, lease_s=30)) is not None:
            mine.append(job.job_id)
        return mine

    with ThreadPoolExecutor(6) as pool:
        claimed = [job for each in pool.map(worker, range(6)) for job in each]
    assert sorted(claimed) == sorted(f"job-{n}" for n in range(10))


def test_orders_bind_while_they_last_and_are_not_withdrawn(store: Store):
    def order(name: str, hours: int | None) -> LimitOrder:
        return LimitOrder(name=name, site="pecos", start=START, end=None if hours is None else START + hours * HOUR, limit_w=0)

    for name, hours in (("a", 2), ("b", None), ("c", 2)):
        store.events.add(name, "curtailment", order(name, hours), by="test", at=START)
    store.events.withdraw("c", by="test", at=START)
    assert [o.name for o in store.events.binding(START, START + HOUR)] == ["a", "b"]
    assert [o.name for o in store.events.binding(START + 2 * HOUR, START + 3 * HOUR)] == ["b"]
    assert store.events.binding(START - HOUR, START) == []
    with pytest.raises(ConflictError):
        store.events.add("a", "outage", order("a", 2), by="test", at=START)


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE audit_log SET who = 'nobody' WHERE number = 3",
        "UPDATE audit_log SET detail = '{}' WHERE number = 3",
        "DELETE FROM audit_log WHERE number = 3",
        "UPDATE audit_log SET number = 100 WHERE number = 3",
    ],
)
def test_the_audit_log_shows_that_it_was_edited(tmp_path, tamper: str):
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    for n in range(6):
        store.audit_log.append("test", "act", f"subject {n}", at=START + n * HOUR, detail={"n": n})
    assert store.audit_log.broken_at() is None
    with database(store).write() as connection:  # whoever holds the file can drop the triggers
        for action in ("update", "delete"):
            connection.execute(text(f"DROP TRIGGER audit_log_no_{action}"))
        connection.execute(text(tamper))
    assert store.audit_log.broken_at() in (3, 4)
    store.close()


def test_the_end_of_the_audit_log_is_copied_outside(store: Store):
    assert store.audit_log.head()[0] == 0
    last = [store.audit_log.append("test", "act", str(n), at=datetime(2026, 1, 1, tzinfo=UTC)) for n in range(3)][-1]
    assert store.audit_log.head() == (3, last.chain)
    assert [line.number for line in store.audit_log.page(limit=2).items] == [3, 2]


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from service.store import open_store
from service.store.records import StoredTelemetry, TelemetryPoint
store = open_store(sys.argv[1])
start = datetime(2026, 1, 1, tzinfo=UTC)
n = store.telemetry.count("pecos")
while True:
    point = TelemetryPoint(at=start + timedelta(seconds=n), draw_w=n)
    store.telemetry.add("pecos", [StoredTelemetry(point=point, received_at=start)])
    n += 1
    print(n, flush=True)
"""


def test_what_was_confirmed_survives_kill_9(url: str):
    open_store(url).close()
    confirmed = 0
    for round_ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True, env={**os.environ})
        assert writer.stdout is not None
        confirmed = max(confirmed, int(writer.stdout.readline()))
        time.sleep(0.15 + 0.1 * round_)
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = max(confirmed, *(int(line) for line in writer.stdout.read().split()), confirmed)
        writer.wait(10)
        writer.stdout.close()
        store = open_store(url)
        assert confirmed <= store.telemetry.count("pecos") <= confirmed + 1
        confirmed = store.telemetry.count("pecos")
        store.close()


def test_a_second_process_reads_while_the_first_writes(url: str):
    store = open_store(url)
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            store.telemetry.add("pecos", [measured(n)])
            n += 1

    writer = threading.Thread(target=write)
    writer.start()
    other = open_store(url)
    seen = [other.telemetry.count("pecos") for _ in range(10)]
    stop.set()
    writer.join()
    assert seen == sorted(seen)
    other.close()
    store.close()


@pytest.mark.postgres
def test_the_service_runs_on_postgresql(postgres: str, tmp_path):
    from sqlalchemy import create_engine, make_url

    server = make_url(postgres).set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE whole"))
    served = Served(tmp_path, url=server.set(database="whole").render_as_string(hide_password=False))
    assert served.client.get("/v1/sites/pecos/setpoints", headers=served.as_("controller")).json["version"] == 1
    words = {**served.as_("operator"), "Idempotency-Key": "a"}
    first = served.client.post("/v1/events", json={"site": "pecos", "limit_w": 0}, headers=words)
    again = served.client.post("/v1/events", json={"site": "pecos", "limit_w": 0}, headers=words)
    assert (first.status_code, again.json) == (201, first.json)
    assert served.client.get("/v1/audit-log/verification", headers=served.as_("admin")).json["intact"] is True
    served.close()
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE whole WITH (FORCE)"))
    engine.dispose()
