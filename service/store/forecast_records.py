"""What the store keeps of forecasting: each version of each series' model, and how it did when it was trained."""

from typing import Annotated

from annotated_types import Ge

from models.base import Count, Instant, Name, NonNegative, Record, Share, Text


class ForecastScore(Record):
    """How a model does on the last weeks that it was not trained on, two days ahead, in the unit of its series.

    naive_mae: of the better of its seasonal naive forecast and the same hour of the last day known. coverage_share: of the
    values between its quantiles of 10 and 90 percent.
    """

    origins: Count
    steps: Count
    mae: NonNegative
    naive_mae: NonNegative
    pinball: NonNegative
    coverage_share: Share

    @property
    def is_better(self) -> bool:
        """Whether the model beats the naive forecast."""
        return self.mae < self.naive_mae

    @property
    def ratio(self) -> float:
        """The error as a share of the naive one's; 1 where neither errs."""
        return self.mae / self.naive_mae if self.naive_mae else (1.0 if not self.mae else 1e9)


class TrainedOn(Record):
    """What a model was trained on: points of the series from when to when, and their digest."""

    first: Instant
    last: Instant
    points: Annotated[int, Ge(0)]
    digest: Text


class ForecastModel(Record):
    """One version of a series' model; versions count up from 1. `digest` is that of the trained model itself."""

    series: Name
    version: Count
    model: Text
    digest: Text
    trained_at: Instant
    trained_until: Instant
    data: TrainedOn
    seconds: NonNegative
    score: ForecastScore | None = None

    @property
    def is_used(self) -> bool:
        """Whether plans take it where the series ends: it did better than the naive forecast."""
        return self.score is not None and self.score.is_better
