"""How good forecasts with quantiles were: errors of the middle, of the whole distribution, of its band, and of its mean.

For an actual y, a quantile q at level a and a band [l, u] that is to hold 80 % (1 - w, w = 0.2):

    pinball = max(a (y - q), (a - 1) (y - q)),                     mean over the levels 10, 50 and 90 % (Koenker, Bassett 1978)
    Winkler = u - l + 2/w max(0, l - y) + 2/w max(0, y - u)        (Winkler 1972; Gneiting, Raftery 2007)

Both are proper: nobody gains by telling another distribution than he believes in. Lower is better; all in the series' unit.
"""

import numpy as np

from models.base import Name, Record, Text
from models.forecast import REQUIRED_PPM
from scenarios.timed import Floats

BAND_SHARE = 0.8


class Score(Record):
    """Scores of one model over `steps` steps, in the unit of the series; shares where it says so.

    bias, rmse: of the mean, which planning uses: how much too high it was on average, and its root mean square error.
    """

    model: Name
    unit: Text
    steps: int
    mae: float
    pinball: float
    winkler: float
    covered_share: float
    below_share: float
    bias: float
    rmse: float


def pinball(actual: Floats, told: Floats, level_share: float) -> Floats:
    """Return the pinball loss of a quantile by step."""
    off = actual - told
    return np.maximum(level_share * off, (level_share - 1) * off)


def winkler(actual: Floats, low: Floats, high: Floats, band_share: float = BAND_SHARE) -> Floats:
    """Return the Winkler score of a band by step."""
    outside = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    return high - low + 2 / (1 - band_share) * outside


def score(model: str, unit: str, actual: Floats, quantiles: Floats, mean: Floats) -> Score:
    """Return the scores of a model.

    actual, mean: by step. quantiles: steps × (10, 50, 90 %).

    Raises:
        ValueError: there is no step to score, or something is not a number.
    """
    if not len(actual):
        raise ValueError(f"{model}: expected at least one step to score, got none")
    if not (np.isfinite(actual).all() and np.isfinite(quantiles).all() and np.isfinite(mean).all()):
        raise ValueError(f"{model}: expected numbers to score, got some that are not")
    low, middle, high = quantiles.T
    losses = [pinball(actual, told, ppm / 1e6).mean() for told, ppm in zip((low, middle, high), REQUIRED_PPM, strict=True)]
    return Score(
        model=model,
        unit=unit,
        steps=len(actual),
        mae=float(np.abs(actual - middle).mean()),
        pinball=float(np.mean(losses)),
        winkler=float(winkler(actual, low, high).mean()),
        covered_share=float(((low <= actual) & (actual <= high)).mean()),
        below_share=float((actual < low).mean()),
        bias=float((mean - actual).mean()),
        rmse=float(np.sqrt(((mean - actual) ** 2).mean())),
    )
