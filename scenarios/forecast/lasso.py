"""One lasso for each column of a table of targets, all on the same regressors, its strength chosen on days left out.

For a column y and standardised regressors X (n days) and strengths a on a falling geometric path,

    b(a) = argmin 1/(2n) |y - mean - X b|² + a |b|₁      (coordinate descent on X'X, warm from strength to strength)

Days are cut into consecutive folds; of each fold the errors of a model without it are kept for every strength, and the
strength with the least mean absolute error over all folds is taken. So every day has an error of a model that had not seen it.
Source: Tibshirani 1996; Friedman, Hastie, Tibshirani 2010; scikit-learn's `lasso_path`.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenarios.timed import Floats

STRENGTHS, WEAKEST_SHARE = 18, 3e-3
"""Strengths on a path, and the last of them as a share of the first, which lets no regressor in."""
FOLDS = 5
TOLERANCE, MOST_SWEEPS = 1e-3, 100


@dataclass(frozen=True, eq=False)
class Lassos:
    """Coefficients (regressors × columns) on regressors as they are, intercepts, and errors on days left out (days × columns)."""

    coefficients: Floats
    intercepts: Floats
    held_out: Floats

    def __call__(self, regressors: Floats) -> Floats:
        """Return what they say of some days: days × columns."""
        return np.asarray(regressors @ self.coefficients + self.intercepts, np.float64)


def lassos(regressors: Floats, targets: Floats) -> Lassos:
    """Return a lasso for each column of the targets. regressors: days × regressors. targets: days × columns. None is missing."""
    with _unchecked():
        return _lassos(regressors, targets)


def _unchecked() -> Any:
    """The library's own checks of what it is called with, at each of some hundred calls, would take a tenth of the time."""
    from sklearn import config_context

    return config_context(skip_parameter_validation=True)


def _lassos(regressors: Floats, targets: Floats) -> Lassos:
    middle, width = regressors.mean(axis=0), regressors.std(axis=0)
    width[width < 1e-9] = 1.0  # a constant regressor gets no weight
    x, mean = (regressors - middle) / width, targets.mean(axis=0)
    y = targets - mean
    gram, moments = x.T @ x, x.T @ y
    paths = [np.geomspace(top, top * WEAKEST_SHARE, STRENGTHS) for top in np.maximum(np.abs(moments).max(axis=0) / len(x), 1e-12)]
    errors = np.empty((STRENGTHS, *y.shape))
    for fold in np.array_split(np.arange(len(x)), FOLDS):
        rest = np.setdiff1d(np.arange(len(x)), fold, assume_unique=True)
        others, gram_of, moments_of = x[rest], gram - x[fold].T @ x[fold], moments - x[fold].T @ y[fold]
        for k, path in enumerate(paths):
            told = x[fold] @ _descend(others, y[rest, k], path, gram_of, moments_of[:, k])
            errors[:, fold, k] = (y[fold, k, None] - told).T
    best = np.abs(errors).mean(axis=1).argmin(axis=0)
    chosen = [_descend(x, y[:, k], path[: best[k] + 1], gram, moments[:, k])[:, -1] for k, path in enumerate(paths)]
    coefficients = np.array(chosen).T / width[:, None]
    held_out = np.take_along_axis(errors, best[None, None, :], axis=0)[0]
    return Lassos(coefficients, mean - middle @ coefficients, held_out)


def _descend(x: Floats, y: Floats, strengths: Floats, gram: Floats, moments: Floats) -> Floats:
    """Coefficients by strength: regressors × strengths. The library's own checks of each call would take most of the time."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import lasso_path

    given = {"precompute": np.ascontiguousarray(gram), "Xy": np.ascontiguousarray(moments), "check_input": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # errors on days left out judge a path, not how far it has come
        found = lasso_path(x, np.ascontiguousarray(y), alphas=strengths, tol=TOLERANCE, max_iter=MOST_SWEEPS, **given)[1]
    return np.asarray(found, np.float64)
