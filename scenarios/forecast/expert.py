"""A plain statistical model of prices, as a second yardstick: the autoregression that the literature calls "expert".

One regression by least squares for each step k of the day and each lead, in prices as they are:

    p[d, k] = a[weekday of d] + b1 p[d-1, k] + b2 p[d-2, k] + b3 p[d-7, k] + b4 min p[d-1] + b5 max p[d-1] + b6 p[d-1, last]

Source: Misiorek, Trueck, Weron 2006; as benchmark in Uniejewski, Nowotarski, Weron 2016 and Ziel, Weron 2018 (with d the last
known day's successor; further leads take the same regressors).
"""

from dataclasses import dataclass

import numpy as np

from scenarios.forecast.slices import WEEK, Cut, shifted
from scenarios.timed import Floats

LEAST_DAYS = 60


@dataclass(frozen=True, eq=False)
class LearnedExpert:
    """Coefficients (regressors × slots): three of the slot itself, then what all slots share."""

    coefficients: Floats
    lead: int
    held_out: Floats
    used: str = ""

    def ahead(self, cut: Cut) -> Floats:
        """Return for each row what it says of the row `lead` days after it."""
        own, shared = regressors(cut)
        of_the_slot = np.einsum("jik,jk->ik", own, self.coefficients[: len(own)])
        return np.asarray(of_the_slot + shared @ self.coefficients[len(own) :], np.float64)

    def into(self, prices: Floats) -> Floats:
        """Prices are its own units."""
        return prices

    def out(self, values: Floats) -> Floats:
        """Prices are its own units."""
        return values


@dataclass(frozen=True)
class Expert:
    """The rule."""

    window_days: int = 1_456
    name: str = "expert 1"

    def learn(self, cut: Cut, lead: int) -> LearnedExpert:
        """Fit one regression for each slot; errors are those of the fit, which has 13 numbers to some thousand days.

        Raises:
            ValueError: fewer than 60 days with all that a regression needs.
        """
        own, shared = regressors(cut)
        targets = np.vstack([cut.y[lead:], np.full((lead, cut.y.shape[1]), np.nan)])
        told = np.full((len(own) + shared.shape[1], cut.y.shape[1]), np.nan)
        for k in range(cut.y.shape[1]):
            x = np.column_stack([own[:, :, k].T, shared])
            whole = ~np.isnan(x).any(axis=1) & ~np.isnan(targets[:, k])
            if whole.sum() < LEAST_DAYS:
                raise ValueError(f"{self.name}: expected at least {LEAST_DAYS} days to learn from, got {int(whole.sum())}")
            told[:, k] = np.linalg.lstsq(x[whole], targets[whole, k])[0]
        return LearnedExpert(told, lead, np.full(cut.y.shape, np.nan))


def regressors(cut: Cut) -> tuple[Floats, Floats]:
    """Return the regressors of each slot (3 × rows × slots), and those that all slots of a row share (rows × 10)."""
    last = shifted(cut.lags, 1)
    own = np.stack([last, shifted(cut.lags, 2), shifted(cut.lags, WEEK)])
    day = np.column_stack([last.min(axis=1), last.max(axis=1), last[:, -1]])
    return own, np.hstack([day, np.eye(WEEK)[cut.weekdays]])
