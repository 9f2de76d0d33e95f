"""The same step of yesterday, or of the same day last week: the yardstick of every price forecast, and its fallback.

For the row r of a cut yesterday is the newest day known, row -1; last week is the newest known row that is r less a multiple of
seven. Which of both is the better one is the mean absolute error over the rows that are known.
"""

from dataclasses import dataclass

import numpy as np

from scenarios.forecast.slices import WEEK, Cut, shifted
from scenarios.timed import Floats

DAY = 1


def days_back(back: int, lead: int) -> int:
    """Return how many days before a row `lead` days ahead its value is taken from. back: 1 for yesterday, 7 for last week."""
    return lead + 1 if back == DAY else WEEK * (lead // WEEK + 1)


def repeated(cut: Cut, back: int, lead: int) -> Floats:
    """Return what the naive says of the row `lead` days after row 0, by slot."""
    rows = cut.lags
    place = len(rows) - 1 + lead - days_back(back, lead)
    return rows[place] if place >= 0 else np.full(rows.shape[1], np.nan)


def better(cut: Cut) -> int:
    """Return which naive was off by less over all known rows: 1 for yesterday, 7 for last week."""
    off = [np.abs(cut.y - shifted(cut.lags, back)) for back in (DAY, WEEK)]
    both = ~np.isnan(off[0]) & ~np.isnan(off[1])
    return WEEK if both.any() and off[1][both].mean() < off[0][both].mean() else DAY


@dataclass(frozen=True, eq=False)
class LearnedNaive:
    """Nothing but how far back to look."""

    back: int
    lead: int
    held_out: Floats
    used: str

    def ahead(self, cut: Cut) -> Floats:
        """Return for each row the one of some days before the row `lead` days after it."""
        return shifted(cut.lags, days_back(self.back, self.lead) - self.lead)

    def into(self, prices: Floats) -> Floats:
        """Prices are its own units."""
        return prices

    def out(self, values: Floats) -> Floats:
        """Prices are its own units."""
        return values


@dataclass(frozen=True)
class Naive:
    """The rule. back: 1 for yesterday, 7 for last week, None for the one that was better on the window trained on."""

    back: int | None = None
    window_days: int = 364

    @property
    def name(self) -> str:
        """Which naive, and its version."""
        return {None: "naive 1", DAY: "yesterday 1", WEEK: "last-week 1"}[self.back]

    def learn(self, cut: Cut, lead: int) -> LearnedNaive:
        """Choose how far back to look."""
        back = better(cut) if self.back is None else self.back
        words = {DAY: ": same hour yesterday", WEEK: ": same hour last week"}[back] if self.back is None else ""
        return LearnedNaive(back, lead, np.full(cut.y.shape, np.nan), words)
