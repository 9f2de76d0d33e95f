"""How far a forecast may be off, from how far it was off before: quantiles and mean of each step.

Errors e of days i and steps k of the day are told at the scale of their own time: v is a mean of |e| over the days known when
the forecast was made, the newer the weightier, and

    u[i, k] = e[i, k] / v[i] ^ CALM,     so that today's errors are u × v[today] ^ CALM.

Quantiles of a step are those of u of the same step of the day, weighted by age: conformal prediction with weights and a local
scale (Lei et al. 2018; Barber et al. 2023). The mean is that over the same errors *after* they are turned back into prices
(smearing: Duan 1983), so that days of high prices count in it with their own money; only the dearest hundredth of the errors
counts as no more than its lower end, for a storm of once in a decade that lies in three years of history would else be expected
every day. Neither a quantile nor a price in the mean lies outside of what the market has shown: the logarithmic tails of the
transform would reach further.
"""

import numpy as np

from models.forecast import LEVELS_PPM
from scenarios.timed import Floats

CALM = 0.7
"""0: errors of all days alike, 1: in proportion to those of late."""
LATE_DAYS, AGE_DAYS = 5.0, 365.0
"""Half-lives of the scale, and of an error's weight."""
LEAST_ERRORS = 20
RARE_PPM = 990_000
"""Errors beyond this level count in the mean as those at it. Of 95 to 100 % in trials on six markets it gave means that were off
by least and earned most where a threshold was decided by them, or next to it."""


def scales(errors: Floats, lead: int) -> Floats:
    """Return the scale of each row and one more: mean |e| of the rows known a forecast of `lead` rows ahead, weighted.

    errors: rows × slots, in order of days; not a number where none is known.
    """
    there = ~np.isnan(errors)
    size = np.where(there, np.abs(errors), 0.0).sum(axis=1)
    count = there.sum(axis=1).astype(float)
    fade = 0.5 ** (1 / LATE_DAYS)
    typical = size.sum() / max(1.0, count.sum())
    found = np.empty(len(errors) + 1)
    total, weight = typical * errors.shape[1], float(errors.shape[1])  # a day's worth of what is typical
    for row in range(len(found)):
        seen = row - 1 - lead
        if seen >= 0:
            total, weight = fade * total + size[seen], fade * weight + count[seen]
            floor = errors.shape[1] * 0.1
            if weight < floor:  # after a long gap the typical size holds again
                total, weight = total + typical * floor, weight + floor
        found[row] = total / weight
    return np.maximum(found, 1e-9)


def likely(errors: Floats, lead: int) -> tuple[Floats, Floats]:
    """Return the errors that a forecast made now may turn out to have, by row and slot, and their weights (0 where none).

    Raises:
        ValueError: fewer errors of a step than quantiles need.
    """
    scale = scales(errors, lead) ** CALM
    there = ~np.isnan(errors)
    if (count := int(there.sum(axis=0).min(initial=len(errors)))) < LEAST_ERRORS:
        raise ValueError(f"expected at least {LEAST_ERRORS} days of errors for quantiles, got {count}")
    age = np.arange(len(errors), 0, -1) - 1.0
    weights = np.where(there, 0.5 ** (age / AGE_DAYS)[:, None], 0.0)
    return np.where(there, errors, 0.0) / scale[:-1, None] * scale[-1], weights / weights.sum(axis=0)


def quantiles(samples: Floats, weights: Floats, levels_ppm: tuple[int, ...] = LEVELS_PPM) -> Floats:
    """Return weighted quantiles of each column: levels × columns, the mid-points of steps of the distribution joined."""
    order = np.argsort(samples, axis=0, kind="stable")
    ordered, shares = np.take_along_axis(samples, order, 0), np.take_along_axis(weights, order, 0)
    middle = np.cumsum(shares, axis=0) - shares / 2
    levels = np.array(levels_ppm) / 1e6
    found = []
    for k in range(samples.shape[1]):
        some = shares[:, k] > 0
        found.append(np.interp(levels, middle[some, k], ordered[some, k]))
    return np.array(found).T


def tamed(samples: Floats, weights: Floats) -> Floats:
    """Return the samples with those beyond the rare level of their column put down to it."""
    return np.asarray(np.minimum(samples, quantiles(samples, weights, (RARE_PPM,))[0]), np.float64)
