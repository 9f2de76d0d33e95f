"""What every feed shares: what it is told to do, what a poll brings, and how it says that it failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol, Self

from annotated_types import Ge, Le, Len
from pydantic import Field, model_validator

from models.base import Name, Record, iso
from models.reading import Refusal
from service.series_intake import Sample
from service.series_keeping import SeriesIn
from service.store.series_records import SeriesDeclaration, SeriesKind, Unit

SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
"""Name of the environment variable that holds a secret; the secret itself is never in a file."""


class Secret(str):
    """A secret out of the environment: what a source repeats of it is not shown."""

    __slots__ = ()


class FeedError(Exception):
    """A poll that failed, in words without secrets.

    `retry_after_s` is how long the source asks to be left alone; `again_soon` says that it is not to be blamed: what was
    handed in is refused, and what is handed in next need not wait.
    """

    def __init__(self, words: str, retry_after_s: float | None = None, *, again_soon: bool = False) -> None:
        super().__init__(words)
        self.retry_after_s, self.again_soon = retry_after_s, again_soon


@dataclass(frozen=True)
class Told:
    """A series as a source told it, and where it is from."""

    series: str
    content: SeriesIn
    provenance: Mapping[str, Any] = field(default_factory=dict)


def nothing(refusals: Sequence[Refusal]) -> None:
    """Settle nothing."""


@dataclass(frozen=True)
class Batch:
    """Series that are kept together or not at all; `settle` hears how it ended: refusals, none if all was kept."""

    what: str
    told: tuple[Told, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Why it could not even be read."""
    settle: Callable[[Sequence[Refusal]], None] = nothing
    news_only: bool = True
    """Whether values that are known already are left out; a source that is asked says the same again and again."""


class Feed(Protocol):
    """A source: what it is called, how often to ask it, what it tells when asked, and when its silence is an alarm."""

    @property
    def name(self) -> str:
        """Name of the feed, which belongs to it alone."""
        ...

    @property
    def kind(self) -> str:
        """Which adapter it is."""
        ...

    @property
    def every_s(self) -> int:
        """Time between two polls. [s]."""
        ...

    @property
    def jitter_s(self) -> int:
        """By how much a poll may be late. [s]."""
        ...

    @property
    def stale_after_s(self) -> int:
        """How old its newest value may be. [s]."""
        ...

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series that it is known to tell."""
        ...

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Ask the source; nothing is stored, and nothing is moved before a batch is settled.

        Raises:
            FeedError: the source does not answer, or not with what it should.
        """
        ...


class FeedSettings(Record):
    """What every feed is told: how often to ask, when silence is an alarm, and on what terms its owner uses the source."""

    name: Name
    every_s: Annotated[int, Ge(5), Le(86_400)] = 300
    jitter_s: Annotated[int, Ge(0), Le(3_600)] = 20
    """Polls are late by up to this, so that feeds do not all ask at once; drawn from the feed's name."""
    stale_after_s: Annotated[int, Ge(60), Le(31 * 86_400)] = 3 * 3_600
    licence: Annotated[str, Len(1, 200)]

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series that the feed is known to tell."""
        return ()

    def declared(
        self, series: str, kind: SeriesKind, subject: str | None, unit: Unit, source: str, *, resolution_s: int, **more: Any
    ) -> SeriesDeclaration:
        """Return a declaration in the terms of this feed."""
        return SeriesDeclaration(
            name=series, kind=kind, subject=subject, unit=unit, resolution_s=resolution_s, source=source, licence=self.licence,
            late_after_s=self.stale_after_s, curve_type="A01", **({"zone": "UTC"} | more),
        )  # fmt: skip


class WebSettings(FeedSettings):
    """A feed that asks over HTTP: https with certificates checked; http and private addresses only if `private` says so."""

    url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?$", max_length=500)]
    """Base address, without user, password or query."""
    private: bool = False
    ca_file: str | None = None
    connect_s: Annotated[float, Ge(0.1), Le(30)] = 5.0
    read_s: Annotated[float, Ge(0.1), Le(60)] = 10.0
    total_s: Annotated[float, Ge(0.1), Le(120)] = 20.0
    max_bytes: Annotated[int, Ge(1_000), Le(64 * 1024 * 1024)] = 4 * 1024 * 1024

    @model_validator(mode="after")
    def is_encrypted(self) -> Self:
        """Refuse plain http to the world."""
        if self.url.startswith("http://") and not self.private:
            raise ValueError("url: expected https; plain http only where `private: true` says that the host is one's own")
        return self


def secret(environment: Mapping[str, str], name: str) -> Secret:
    """Return a secret.

    Raises:
        FeedError: the variable is not set.
    """
    if not (value := environment.get(name, "")):
        raise FeedError(f"the environment variable {name} is not set")
    return Secret(value)


def without_secrets(words: str, feed: Feed, environment: Mapping[str, str]) -> str:
    """Return words without the secrets of a feed, which a source may repeat in its answer."""
    for name in vars(feed):
        if name.endswith("_env") and (value := environment.get(getattr(feed, name) or "")):
            words = words.replace(value, "…")
    return words


def floor(instant: datetime, resolution_s: int) -> datetime:
    """Return the start of the step of the day that an instant lies in."""
    return datetime.fromtimestamp(int(instant.timestamp()) // resolution_s * resolution_s, UTC)


def spot(
    declaration: SeriesDeclaration, value: float, *, now: datetime, known_at: datetime, holds_steps: int,
    provenance: Mapping[str, Any],
) -> Told:  # fmt: skip
    """Return a value of this moment as a series: it is taken to hold in the present step and the ones after it."""
    first, step = floor(now, declaration.resolution_s), timedelta(seconds=declaration.resolution_s)
    points = tuple(Sample(start=first + n * step, value=value) for n in range(holds_steps))
    return Told(declaration.name, SeriesIn(declaration=declaration, known_at=known_at, points=points), provenance)


def number(content: Any, *path: str | int, lowest: float, highest: float) -> float:
    """Return a number out of an answer.

    Raises:
        FeedError: it is not there, no number, or outside of its range; the place is named.
    """
    where = "/".join(str(part) for part in path)
    for part in path:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            raise FeedError(f"the answer has no {where}") from None
    if isinstance(content, bool) or not isinstance(content, int | float):
        raise FeedError(f"{where}: expected a number, got {str(content)[:60]!r}")
    if not lowest <= content <= highest:
        raise FeedError(f"{where}: expected {lowest:g} to {highest:g}, got {content:g}")
    return float(content)


def refuse_old(what: str, told_at: datetime, now: datetime, after: timedelta) -> None:
    """Refuse an answer that a source repeats though it stands still, or whose clock is ahead of ours.

    Raises:
        FeedError: it is older than `after`, or of the future.
    """
    if now - told_at > after:
        raise FeedError(f"{what} is of {iso(told_at)}, older than {after}: the source stands still")
    if told_at - now > timedelta(hours=2):  # blocks may bear stamps of up to two hours ahead
        raise FeedError(f"{what} is of {iso(told_at)}, in the future: one of the clocks is wrong")
