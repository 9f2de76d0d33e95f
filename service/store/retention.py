"""Which rows are old enough to be deleted, and their deletion: in portions, each a short transaction of its own.

Old are
    jobs that ended before an instant, with the what-ifs that they answered,
    publications of before then, with their documents and acknowledgements,
    plans of before then that no kept publication is of, and problems that no kept plan answers,
    points that sites measured before then,
    and of a series' step that began long before then, all that was told but the last.
Kept whatever their age are the newest publications, which planning looks back on; of each site the newest document, the
newest that it acknowledged and the first that it owes an answer; the newest plan and what-ifs against it; whatever a kept job
may name; each site's newest point, and its newest that may be used; the audit log, the fleet, entries, orders and keys. What
bills count of earlier months goes from plan to plan in the state of the problem.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, delete, exists, func, not_, or_, select

from service.store.database import Database
from service.store.records import TERMINAL
from service.store.schema import (
    acknowledgement,
    job,
    plan,
    problem,
    publication,
    scenario,
    series,
    series_point,
    setpoint,
    telemetry,
)
from service.store.telemetry import UNFLAGGED

NEWEST_PUBLICATIONS = 500
"""Kept whatever their age: more than twice as many as planning looks through."""
MADE_WITHIN = timedelta(days=1)
"""A plan is stored within a day of the instant at which it was begun."""
TOLD_LONGER = timedelta(days=31)
"""A kept plan's forecasts are worked out again from what was known when it was made, of so many days before it."""
JOBS, PUBLICATIONS, PLANS, POINTS, STEPS = 20, 4, 20, 1_000, 50
"""Rows of a portion that bring others with them: all in all some hundred, so that it is written within milliseconds."""


class Amount(NamedTuple):
    """Rows, and the bytes of their columns as they are stored, without indexes."""

    rows: int = 0
    bytes: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """Return both together."""
        return Amount(self.rows + other.rows, self.bytes + other.bytes)


Portion = Mapping[str, Amount]
"""Amounts by table."""


@dataclass(frozen=True)
class Bounds:
    """What is old, as figures: worked out once, they stay right while the service goes on and while rows go.

    before: the instant asked for. since: that, or when the oldest kept job was asked for, if that is earlier.
    """

    before: datetime
    since: datetime
    publications_below: int
    """Versions."""
    kept_publications: frozenset[int]
    """Versions below that which are kept."""
    plans_below: int
    """Numbers."""
    what_ifs_to: int
    """The fleet's plan that the oldest kept job can be about, or one before it: what-ifs made after it are kept. A number."""
    points_before: Mapping[str, datetime]
    """Instants by site."""

    def old_job(self) -> ColumnElement[bool]:
        """Say which jobs are old."""
        return and_(job.c.state.in_(TERMINAL), job.c.finished_at < self.before)

    def old_publication(self) -> ColumnElement[bool]:
        """Say which publications are old."""
        kept = publication.c.version.in_(sorted(self.kept_publications))
        return and_(publication.c.version < self.publications_below, publication.c.published_at < self.since, not_(kept))

    def old_plan(self) -> ColumnElement[bool]:
        """Say which plans are old."""
        told = exists().where(publication.c.plan_id == plan.c.id, not_(self.old_publication()))
        named = or_(plan.c.purpose == "fleet", plan.c.number <= self.what_ifs_to)
        return and_(plan.c.number < self.plans_below, plan.c.created_at < self.since, named, not_(told))


class Retention:
    """Finds and deletes what is old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bounds(self, before: datetime) -> Bounds:
        """Return what is old, where what is of `before` or later is kept."""
        with self._database.read() as connection:
            asked = select(func.min(job.c.created_at)).where(
                or_(job.c.state.not_in(TERMINAL), job.c.finished_at.is_(None), job.c.finished_at >= before)
            )
            since = min(before, connection.execute(asked).scalar_one() or before)
            fleet = plan.c.purpose == "fleet"
            newest = _highest(connection, plan.c.number, fleet)
            return Bounds(
                before=before, since=since,
                publications_below=_highest(connection, publication.c.version) - NEWEST_PUBLICATIONS,
                kept_publications=frozenset(_owed(connection)),
                plans_below=min(newest, 1 + _highest(connection, plan.c.number, plan.c.created_at < since)),
                what_ifs_to=_highest(connection, plan.c.number, fleet, plan.c.created_at < since - MADE_WITHIN),
                points_before={s: _newest_point(connection, s, before) for s in _each(connection, telemetry.c.site)},
            )  # fmt: skip

    def old_backtests(self, bounds: Bounds) -> list[str]:
        """Return the ids of the back-tests that are old; what they found stands in files, not here."""
        with self._database.read() as connection:
            query = select(job.c.id).where(job.c.kind == "backtest", bounds.old_job()).order_by(job.c.number)
            return list(connection.execute(query).scalars())

    def portions(self, bounds: Bounds, *, delete: bool) -> Iterator[Portion]:
        """Yield what is old, portion by portion, each deleted when it is yielded; or only looked at.

        A run that is cut off leaves nothing that refers to what is gone, and another one goes on.
        """
        for walk in (_jobs, _publications, _plans, _points, _told_before):
            yield from walk(_Turns(self._database, bounds, delete))


class _Turns:
    """One transaction after the other, in which rows are weighed and, if they are to go, deleted."""

    def __init__(self, database: Database, bounds: Bounds, delete: bool) -> None:
        self._database, self.bounds, self.deletes = database, bounds, delete

    def turn(self) -> AbstractContextManager[Connection]:
        return self._database.write() if self.deletes else self._database.read()

    def take(self, connection: Connection, table: Table, *old: ColumnElement[bool]) -> Portion:
        """Weigh rows of a table, and delete them if they are to go."""
        size = func.length if self._database.sqlite else func.pg_column_size
        weight = sum((func.coalesce(size(column), 0) for column in table.c), start=0)
        rows, weighs = connection.execute(select(func.count(), func.sum(weight)).select_from(table).where(*old)).one()
        if rows and self.deletes:
            connection.execute(delete(table).where(*old))
        return {table.name: Amount(rows, int(weighs or 0))}


def _jobs(turns: _Turns) -> Iterator[Portion]:
    after = 0
    while True:
        with turns.turn() as connection:
            query = select(job.c.number, job.c.id).where(job.c.number > after, turns.bounds.old_job())
            old = connection.execute(query.order_by(job.c.number).limit(JOBS)).all()
            if not old:
                return
            ids = [row.id for row in old]
            portion = {
                **turns.take(connection, scenario, scenario.c.job_id.in_(ids)), **turns.take(connection, job, job.c.id.in_(ids))
            }  # fmt: skip
        after = old[-1].number
        yield portion


def _publications(turns: _Turns) -> Iterator[Portion]:
    after = 0
    while True:
        with turns.turn() as connection:
            query = select(publication.c.version).where(publication.c.version > after, turns.bounds.old_publication())
            old = list(connection.execute(query.order_by(publication.c.version).limit(PUBLICATIONS)).scalars())
            if not old:
                return
            told = setpoint.c.version.in_(old)
            sites = list(connection.execute(select(setpoint.c.site).distinct().where(told)).scalars())
            answers = acknowledgement.c.site.in_(sites), acknowledgement.c.version.in_(old)
            portion = {
                **turns.take(connection, acknowledgement, *answers),
                **turns.take(connection, setpoint, told),
                **turns.take(connection, publication, publication.c.version.in_(old)),
            }
        after = old[-1]
        yield portion


def _plans(turns: _Turns) -> Iterator[Portion]:
    """Take plans by number; a problem goes with the last of the plans that answer it."""
    after, old_plan = 0, turns.bounds.old_plan()
    while True:
        with turns.turn() as connection:
            query = select(plan.c.number, plan.c.id, plan.c.problem_digest).where(plan.c.number > after, old_plan)
            old = connection.execute(query.order_by(plan.c.number).limit(PLANS)).all()
            if not old:
                return
            after, digests = old[-1].number, {row.problem_digest for row in old}
            answered = plan.c.problem_digest.in_(sorted(digests)), or_(plan.c.number > after, not_(old_plan))
            kept = set(connection.execute(select(plan.c.problem_digest).distinct().where(*answered)).scalars())
            portion = {
                **turns.take(connection, plan, plan.c.id.in_([row.id for row in old])),
                **turns.take(connection, problem, problem.c.digest.in_(sorted(digests - kept))),
            }
        yield portion


def _points(turns: _Turns) -> Iterator[Portion]:
    for site, end in turns.bounds.points_before.items():
        start: datetime | None = None
        while start != end:
            of_site = [telemetry.c.site == site, telemetry.c.at < end]
            of_site += [] if start is None else [telemetry.c.at >= start]
            with turns.turn() as connection:
                query = select(telemetry.c.at).where(*of_site).order_by(telemetry.c.at).offset(POINTS).limit(1)
                start = connection.execute(query).scalar_one_or_none() or end
                portion = turns.take(connection, telemetry, *of_site, telemetry.c.at < start)
            if portion[telemetry.name].rows:
                yield portion


def _told_before(turns: _Turns) -> Iterator[Portion]:
    """Take what was told of a step before it was told the last time."""
    with turns.turn() as connection:
        names = list(connection.execute(select(series.c.id).order_by(series.c.id)).scalars())
    later = series_point.alias()
    same_step = later.c.series_id == series_point.c.series_id, later.c.start == series_point.c.start
    last = select(func.max(later.c.known_at)).where(*same_step).scalar_subquery()
    for name in names:
        of_series = [series_point.c.series_id == name, series_point.c.start < turns.bounds.before - TOLD_LONGER]
        several = select(series_point.c.start).group_by(series_point.c.start).having(func.count() > 1)
        starts: list[datetime] = []
        while True:
            on = [series_point.c.start > starts[-1]] if starts else []
            with turns.turn() as connection:
                query = several.where(*of_series, *on).order_by(series_point.c.start).limit(STEPS)
                starts = list(connection.execute(query).scalars())
                if not starts:
                    break
                old = series_point.c.series_id == name, series_point.c.start.in_(starts), series_point.c.known_at < last
                portion = turns.take(connection, series_point, *old)
            yield portion


def _highest(connection: Connection, column: Column[Any], *where: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.coalesce(func.max(column), 0)).where(*where)).scalar_one())


def _each(connection: Connection, column: Column[str]) -> Iterator[str]:
    """Yield the different values of the first column of a key, each found by one step down its index."""
    value = connection.execute(select(func.min(column))).scalar_one()
    while value is not None:
        yield value
        value = connection.execute(select(func.min(column)).where(column > value)).scalar_one()


def _owed(connection: Connection) -> Iterator[int]:
    """Yield of each site the newest version, the newest that it acknowledged, and the first that it has yet to."""
    for site in _each(connection, setpoint.c.site):
        answered = _highest(connection, acknowledgement.c.version, acknowledgement.c.site == site)
        yield answered
        yield _highest(connection, setpoint.c.version, setpoint.c.site == site)
        first = select(func.min(setpoint.c.version)).where(setpoint.c.site == site, setpoint.c.version > answered)
        yield connection.execute(first).scalar_one() or answered


def _newest_point(connection: Connection, site: str, before: datetime) -> datetime:
    """Return the instant before which a site's points are old: its newest point, and its newest usable one, never are."""
    newest = select(telemetry.c.at).where(telemetry.c.site == site).order_by(telemetry.c.at.desc()).limit(1)
    usable = connection.execute(newest.where(UNFLAGGED)).scalar_one_or_none()
    last: datetime = usable or connection.execute(newest).scalar_one()
    return min(before, last)
