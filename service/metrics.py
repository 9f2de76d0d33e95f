"""What a monitor scrapes: the age, gap and basis of what sites are served, jobs, alarms and how old the inputs are.

The text is Prometheus' exposition format 0.0.4: `# HELP`, `# TYPE`, then `name{label="value"} number`, a line each.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from service.ports import Services
from service.store.common import UnreadableError
from service.store.records import age_s

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "wattsplit_"
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Family:
    """A measure: its name, kind, what it means, and its samples by label."""

    name: str
    kind: Literal["gauge", "counter"]
    words: str
    samples: tuple[Sample, ...]

    @property
    def lines(self) -> Iterable[str]:
        """Its lines; none without samples."""
        if self.samples:
            yield f"# HELP {PREFIX}{self.name} {self.words}"
            yield f"# TYPE {PREFIX}{self.name} {self.kind}"
        for labels, value in self.samples:
            told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            yield f"{PREFIX}{self.name}{f'{{{told}}}' if told else ''} {value:.12g}"


@dataclass
class Meter:
    """Reads the measures; what is written once is read once."""

    services: Services
    _bases: tuple[int, Counter[str]] = (0, Counter())
    _alarms: Counter[str] = field(default_factory=Counter)
    _heard: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def text(self, now: datetime) -> str:
        """Return all measures at an instant."""
        with self._lock:  # two scrapes at once must not count an alarm twice
            families = (*self._plan(now), *self._freshness(now), *self._work(), *self._inputs(now))
        return "".join(f"{line}\n" for family in families for line in family.lines)

    def _plan(self, now: datetime) -> Iterable[Family]:
        newest = self.services.store.publications.newest()
        if newest is None:
            return
        age = age_s(newest.published_at, now)
        yield Family("publication_age_seconds", "gauge", "Since set-points were last published.", _one(age))
        yield Family("publication_version", "gauge", "Version of what is published.", _one(newest.version))
        bases = _by("basis", self._basis(newest.version))
        yield Family("sites", "gauge", "Sites by the basis of the document they are served.", bases)
        head = self.services.store.plans.head(newest.plan_id)
        if head is None:
            return
        yield Family("plan_age_seconds", "gauge", "Since the published plan was made.", _one(age_s(head.created_at, now)))
        yield Family("plan_profit_usd", "gauge", "Profit of the published plan over its horizon.", _one(head.profit_usd))
        if head.gap_percent is not None and head.gap_usd is not None:
            yield Family("plan_gap_ratio", "gauge", "Certified gap of the published plan.", _one(head.gap_percent / 100))
            yield Family("plan_gap_usd", "gauge", "The same as money.", _one(head.gap_usd))

    def _basis(self, version: int) -> Counter[str]:
        if self._bases[0] != version:
            try:
                documents = self.services.store.publications.setpoints(version)
            except UnreadableError:  # another release published them; what they stand on is not known here
                return Counter()
            self._bases = version, Counter(document.basis for document in documents.values())
        return self._bases[1]

    def _freshness(self, now: datetime) -> Iterable[Family]:
        if self.services.planning is None:
            return
        found = self.services.planning.freshness(now)
        yield Family("fresh", "gauge", "1 while what sites are served is recent and optimised, else 0.", _one(found.fresh))
        yield Family("sites_held", "gauge", "Sites held, not optimised, as input is missing.", _one(len(found.stale_sites)))
        yield Family("sites_unanswered", "gauge", "Sites whose controllers do not answer.", _one(len(found.unanswered)))

    def _work(self) -> Iterable[Family]:
        store = self.services.store
        counts = store.jobs.counts().items()
        jobs = tuple(({"kind": kind, "state": state}, float(count)) for (kind, state), count in sorted(counts))
        yield Family("jobs", "gauge", "Jobs by kind and state.", jobs)
        new, self._heard = store.audit_log.alarms_since(self._heard)
        self._alarms.update(new)
        yield Family("alarms_total", "counter", "Alarms by code since the store began.", _by("code", self._alarms))

    def _inputs(self, now: datetime) -> Iterable[Family]:
        series = self.services.store.series
        declared = series.declarations()
        told = {d.name: at for d in declared if (at := series.newest_known_at(d.name)) is not None}
        ages = {name: age_s(at, now) for name, at in told.items()}
        late = {d.name: d.late_after_s for d in declared}
        yield Family("series_age_seconds", "gauge", "Since the newest value of a series was known.", _by("series", ages))
        yield Family("series_late_after_seconds", "gauge", "Age from which a series is stale.", _by("series", late))
        if self.services.feeds is not None:
            status = self.services.feeds.status()
            stale = {one.name: int(one.stale) for one in status}
            yield Family("feed_stale", "gauge", "1 while a feed is stale, else 0.", _by("feed", stale))


def _one(value: float) -> tuple[Sample, ...]:
    return (({}, float(value)),)


def _by(label: str, values: Mapping[str, float]) -> tuple[Sample, ...]:
    return tuple(({label: name}, float(value)) for name, value in sorted(values.items()))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
