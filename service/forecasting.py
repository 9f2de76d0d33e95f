"""Continues series where what is told of them ends: models are trained once a day, and forecast when they are asked.

Training is the work of a child process that can be killed; this one keeps what it says, each model under its version with
what it was trained on and how it did lately. The model of prices learns anew for every hour of the day, so its forecast is
made in the child, four times a day. A model is taken only where it did better than the naive forecast; else, and where none
is trained, the same hour of the last day known stays the rule. Both are said in a plan's reasons.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import structlog

from models.base import iso
from models.digest import digest
from models.forecast import Forecast
from models.time_grid import TimeGrid
from optimizer.highs_process import Caps, contain
from optimizer.worker import LOW_PRIORITY
from scenarios.forecast.stored import from_json
from scenarios.forecast.training import Fitted, ahead, forecaster_of, in_hours
from scenarios.local_clock import instant
from scenarios.timed import Timed
from service.alarms import Alarms
from service.config import MIB
from service.forecast_child import program
from service.ports import Clock
from service.store import Store
from service.store.database import StoreUnavailableError
from service.store.forecast_records import ForecastModel, ForecastScore, TrainedOn
from service.store.series_records import SeriesDeclaration, SeriesKind

DAY = timedelta(days=1)
TRAIN_EVERY = {"price": timedelta(hours=6)}
"""Where it is not daily: of prices the forecast itself is kept, which grows old."""
LOOK_EVERY_S = 300.0
TRY_AGAIN = timedelta(hours=1)
"""After a child that did not answer; what it refused is tried again when it is due."""
HISTORY = timedelta(days=400)
RECENT = timedelta(days=15)
"""What a forecast is made from, beside the model: enough for the levels and anomalies that go on from it."""
MOST_HOURS = 240
"""Beyond it nothing is forecast: the rest of a month is as its last day known."""
FARTHEST = timedelta(days=31)
"""What is told ahead is told no further than that."""
LEAST_POINTS = 100
MOST_POINTS = 100_000
TRAIN_S, TRAIN_MIB = 900.0, 2_048
_log = structlog.get_logger("wattsplit.forecasting")


@dataclass(frozen=True)
class Continued:
    """A forecast of a series from where it ends, and the model that made it."""

    forecast: Forecast
    model: ForecastModel

    @property
    def words(self) -> str:
        """How it came about, for a plan's reasons."""
        score = self.model.score
        did = "" if score is None else f", whose error lately was {score.ratio:.2f} of the naive one's"
        return f"the mean of {self.model.model} (version {self.model.version}, trained {self.model.trained_at:%Y-%m-%d}{did})"


class Forecasts:
    """Forecasts from the newest models that are kept; a model is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._read: dict[str, tuple[int, Fitted]] = {}

    def model(self, series: str) -> ForecastModel | None:
        """Return the newest model of a series."""
        return next(iter(self._store.forecasts.newest(series)), None)

    def continued(self, declared: SeriesDeclaration, at: datetime, until: datetime) -> Continued | None:
        """Return what a model that is better than the naive forecast makes of a series from its end on; None without one."""
        hours = -(-int((until - at).total_seconds()) // 3600)
        model = self.model(declared.name) if hours <= MOST_HOURS else None
        if model is None or not model.is_used:
            return None
        try:
            return Continued(self.made(declared, model, at, hours=hours), model)
        except (ValueError, KeyError) as error:  # what is known lately is no ground for it, or another release stored it
            _log.info("no forecast", series=declared.name, words=str(error))
            return None

    def made(
        self, declared: SeriesDeclaration, model: ForecastModel, at: datetime, *, hours: int, grid: TimeGrid | None = None
    ) -> Forecast:
        """Return the forecast of a model from what is known at an instant: of a grid, or of the hours after what is known.

        Raises:
            ValueError: the model cannot be read, or cannot forecast this from what is known.
            KeyError: the version is not kept any more.
        """
        at = at.replace(microsecond=0)
        known = in_hours(timed(self._store, declared, at - RECENT, at + FARTHEST, at), at)
        if not len(known):
            raise ValueError(f"series {declared.name}: nothing is known of the last {RECENT.days} days")
        free = ahead(known, at, hours)
        if grid is not None and grid.start < free.start:
            raise ValueError(f"series {declared.name} is told until {iso(free.start)}; expected hours from there on")
        return self._fitted(model).forecast(known, at, grid or free)

    def repeated(self, declared: SeriesDeclaration, version: int, at: datetime, until: datetime) -> Forecast:
        """Return what a version of a model said at an instant of the hours from the end of what was known then.

        Raises:
            ValueError: it cannot be read, or nothing was known.
            KeyError: the version is not kept any more.
        """
        at = at.replace(microsecond=0)
        known = in_hours(timed(self._store, declared, at - RECENT, at + FARTHEST, at), at)
        if not len(known):
            raise ValueError(f"series {declared.name}: nothing was known of the last {RECENT.days} days")
        hours = -(-int((until - at).total_seconds()) // 3600)
        fitted: Fitted = from_json(self._store.forecasts.body(declared.name, version))
        return fitted.forecast(known, at, ahead(known, at, hours))

    def _fitted(self, model: ForecastModel) -> Fitted:
        version, fitted = self._read.get(model.series, (0, None))
        if version != model.version or fitted is None:
            fitted = from_json(self._store.forecasts.body(model.series, model.version))
            self._read[model.series] = (model.version, fitted)
        return fitted


def timed(store: Store, declared: SeriesDeclaration, start: datetime, end: datetime, at: datetime) -> Timed:
    """Return the points of a stored series in [start, end) that were known at an instant: each step's newest."""
    rows = store.series.told(declared.name, start, end, at, MOST_POINTS)
    return Timed(
        declared.name, declared.unit, declared.zone, declared.resolution_s,
        np.array([int(begin.timestamp()) for begin, _, _ in rows], np.int64),
        np.array([-(-known.timestamp() // 1) for _, known, _ in rows], np.int64),
        np.array([value for _, _, value in rows], np.float64),
    )  # fmt: skip


class Trainer:
    """Trains the models of all series once a day, those of prices four times, while this process leads."""

    def __init__(
        self, store: Store, now: Clock, leads: Callable[[], bool] = lambda: True, command: Sequence[str] | None = None
    ) -> None:
        self._store, self._now, self._leads, self._command = store, now, leads, command
        self._alarms = Alarms(store, now)
        self._tried: dict[str, datetime] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look now and then whether a model is due."""
        self._thread = threading.Thread(target=self._work, name="forecasting", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop looking; a child that trains is killed."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._closing.is_set():
            try:
                if self._leads():
                    self.turn()
            except Exception:  # a store that does not answer now may answer at the next look
                _log.exception("forecasting")
            self._closing.wait(LOOK_EVERY_S)

    def due(self) -> list[SeriesDeclaration]:
        """Return the series that a model can be trained for, and that none was lately trained or tried for."""
        now = self._now()
        trained = {model.series: model.trained_at for model in self._store.forecasts.newest()}
        declared = [d for d in self._store.series.declarations() if forecaster_of(d.kind) is not None]
        last = {d.name: max((t for t in (trained.get(d.name), self._tried.get(d.name)) if t), default=None) for d in declared}
        return [d for d in declared if (at := last[d.name]) is None or now - at >= TRAIN_EVERY.get(d.kind, DAY)]

    def turn(self) -> list[ForecastModel]:
        """Train what is due in one child, keep what it says, and return it; what it refuses is tried again a day later."""
        now = self._now().replace(microsecond=0)
        histories, due = {}, self.due()
        for declared in due:
            readable = MOST_POINTS * timedelta(seconds=declared.resolution_s) - FARTHEST  # the newest points, of fine steps
            past = timed(self._store, declared, now - min(HISTORY, readable), now + FARTHEST, now)
            if len(past) >= LEAST_POINTS:
                histories[declared.name] = (declared, past)
        self._tried |= {declared.name: now for declared in due}  # all were read: a store that fails now is asked again soon
        if not histories:
            return []
        listener = _Listener(self._store, now, {name: (d.kind, past) for name, (d, past) in histories.items()})
        with tempfile.TemporaryFile() as request:
            request.write(json.dumps({"at": now.isoformat(), "series": [_asked(d, p) for d, p in histories.values()]}).encode())
            request.seek(0)
            caps = Caps(TRAIN_S, TRAIN_MIB * MIB, LOW_PRIORITY)
            ended = contain(self._command or program(), request, caps, hear=listener.hear, cancelled=self._closing.is_set)
        if listener.left and not self._closing.is_set():
            self._failed(listener, f"{ended.why} {ended.code}: {ended.said[-500:]}", now)
        return listener.kept

    def _failed(self, listener: "_Listener", how: str, now: datetime) -> None:
        """Say loudly that models are missing, and let them be tried again in an hour."""
        words = f"the training of {', '.join(sorted(listener.left))} ended without a model ({listener.why or how}); "
        self._alarms.raise_("training_failed", f"{words}what is kept goes on, and is tried again in an hour")
        for name, (kind, _) in listener.left.items():
            self._tried[name] = now - TRAIN_EVERY.get(kind, DAY) + TRY_AGAIN


def _asked(declared: SeriesDeclaration, past: Timed) -> dict[str, Any]:
    rows = {name: getattr(past, name).tolist() for name in ("starts_s", "known_s", "values")}
    return {"name": past.name, "kind": declared.kind, "unit": past.unit, "zone": past.zone, "step_s": past.step_s, **rows}


class _Listener:
    """What was heard of a child; every model is checked and kept as it comes."""

    def __init__(self, store: Store, now: datetime, histories: dict[str, tuple[SeriesKind, Timed]]) -> None:
        self._store, self._now, self.left = store, now, histories
        self._rest, self.why = b"", ""
        self.kept: list[ForecastModel] = []

    def hear(self, chunk: bytes) -> bool:
        """Take whole lines; a child that writes anything else is not listened to any longer."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        try:
            for line in lines:
                self._take(json.loads(line))
        except StoreUnavailableError as error:
            self.why = f"it could not be kept: {error}"[:500]
            return False
        except (ValueError, KeyError, TypeError) as error:
            self.why = f"it was not understood: {error}"[:500]
            return False
        return True

    def _take(self, said: dict[str, Any]) -> None:
        name = str(said["name"])
        _, past = self.left[name]
        if "refused" in said:
            _log.info("no model", series=name, words=said["refused"])
            del self.left[name]
            return
        from_json(said["body"])
        head = ForecastModel(
            series=past.name, version=0, model=said["model"], digest=digest(said["body"]), trained_at=self._now,
            trained_until=self._now, data=_data(past), seconds=said["seconds"],
            score=None if said["score"] is None else ForecastScore.model_validate(said["score"]),
        )  # fmt: skip
        self.kept.append(self._store.forecasts.add(head, said["body"]))
        del self.left[name]


def _data(past: Timed) -> TrainedOn:
    rows = [past.starts_s.tolist(), past.values.tolist()]
    return TrainedOn(first=past.first, last=instant(int(past.starts_s[-1])), points=len(past), digest=digest(rows))
