"""Temperatures to come, from Open-Meteo or whatever answers in its form.

Asked is `{url}?latitude=…&longitude=…&hourly=temperature_2m&forecast_days=…&timezone=UTC`; the answer's `hourly.time` is
naive, and is taken as UTC only because `utc_offset_seconds` says 0. The free tier of api.open-meteo.com is for
non-commercial use only, and its data is CC BY 4.0: a fleet that earns money needs their customer address and a key
(`key_env`), or a server of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from models.base import Name
from service.feeds.told import Batch, FeedError, SecretName, Told, WebSettings, floor, number, secret
from service.feeds.web import Web
from service.series_intake import Sample
from service.series_keeping import SeriesIn

HOUR_S = 3_600
MOST_HOURS = 16 * 24


class Weather(WebSettings):
    """The temperature at a place; `subject` is the `ambient` of the sites that it is told for."""

    kind: Literal["weather"]
    subject: Name
    latitude: Annotated[float, Ge(-90), Le(90)]
    longitude: Annotated[float, Ge(-180), Le(180)]
    forecast_days: Annotated[int, Ge(1), Le(16)] = 3
    key_env: SecretName | None = None

    @property
    def series(self) -> tuple[str, ...]:
        """Name of what is told."""
        return (f"ambient.{self.subject}",)

    def poll(self, now: datetime, environment: Mapping[str, str]) -> Sequence[Batch]:
        """Ask for the hours to come."""
        web = Web(self, now)
        query: dict[str, str | float] = {
            "latitude": self.latitude, "longitude": self.longitude, "hourly": "temperature_2m",
            "forecast_days": self.forecast_days, "timezone": "UTC",
        }  # fmt: skip
        if self.key_env is not None:
            query["apikey"] = secret(environment, self.key_env)
        answer = web.get("", **query)
        points = self._points(answer, floor(now, HOUR_S))
        declared = self.declared(self.series[0], "ambient", self.subject, "degC", self.url, resolution_s=HOUR_S)
        content = SeriesIn(declaration=declared, known_at=now, points=points)
        return [Batch(self.url, (Told(declared.name, content, web.provenance),))]

    def _points(self, answer: Any, first: datetime) -> tuple[Sample, ...]:
        if number(answer, "utc_offset_seconds", lowest=-86_400, highest=86_400) != 0:
            raise FeedError(f"utc_offset_seconds: expected 0, got {answer['utc_offset_seconds']}: its times are not UTC")
        unit = (answer.get("hourly_units") or {}).get("temperature_2m")
        if unit != "°C":
            raise FeedError(f"hourly_units/temperature_2m: expected °C, got {unit!r}")
        hourly = answer.get("hourly")
        times = hourly.get("time") if isinstance(hourly, dict) else None
        values = hourly.get("temperature_2m") if isinstance(hourly, dict) else None
        if not isinstance(times, list) or not isinstance(values, list) or not 0 < len(times) == len(values) <= MOST_HOURS:
            raise FeedError(f"hourly: expected as many temperatures as times, at most {MOST_HOURS}")
        points = [Sample(start=_utc(time), value=number(values, row, lowest=-100, highest=100)) for row, time in enumerate(times)]
        ahead = tuple(point for point in points if point.start >= first)
        if not ahead or ahead[0].start > first + timedelta(hours=1):
            ends = f"it ends with {times[-1]}" if not ahead else f"it begins with {times[0]}"
            raise FeedError(f"the answer does not tell of the present hour: {ends}; the source stands still, or a clock is wrong")
        return ahead


def _utc(text: Any) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=UTC)
    except (TypeError, ValueError):
        raise FeedError(f"hourly/time: expected times such as 2026-11-22T08:00, got {str(text)[:40]!r}") from None
