"""Fitted models as plain JSON and back: fields of frozen dataclasses by name, arrays with their shape. No code is stored.

Only the models that are named here are read; what was stored under another name or with other fields is refused. A model that
learns anew for every hour of the day, as that of prices does, is kept as the forecast that it made.
"""

from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any

import numpy as np

from models.base import iso
from models.forecast import Forecast
from models.time_grid import TimeGrid
from scenarios.forecast.demand import FittedDemand, Shape
from scenarios.forecast.temperature import FittedTemperature
from scenarios.forecast.walk import FittedWalk
from scenarios.timed import Timed


@dataclass(frozen=True)
class Made:
    """A forecast that was made; it can be cut to later and fewer of its steps, nothing else. document: its JSON."""

    document: str

    def forecast(self, past: Timed, at: datetime, grid: TimeGrid) -> Forecast:
        """Return the steps of a grid out of it; neither `past` nor `at` changes them.

        Raises:
            ValueError: a step that it does not hold.
        """
        whole = Forecast.model_validate_json(self.document)
        place = {start: n for n, start in enumerate(whole.grid.starts)}
        first = place.get(grid.start, whole.grid.steps)
        chosen = slice(first, first + grid.steps)
        if whole.grid.step_s[chosen] != grid.step_s:
            raise ValueError(
                f"{whole.name}: expected whole steps from {iso(whole.grid.start)} to {iso(whole.grid.end)}, for which it was "
                f"made, got {iso(grid.start)} to {iso(grid.end)}"
            )
        cut = {"values": tuple(row[chosen] for row in whole.values), "mean": whole.mean[chosen]}
        return whole.model_copy(update={**cut, "yardstick": whole.yardstick[chosen], "grid": grid})


KNOWN: dict[str, type] = {kind.__name__: kind for kind in (FittedDemand, Shape, FittedTemperature, FittedWalk, Made)}


def as_json(value: Any) -> Any:
    """Return a fitted model, or a part of one, as JSON content.

    Raises:
        TypeError: a part of another kind.
    """
    if is_dataclass(value) and type(value).__name__ in KNOWN:
        return {"model": type(value).__name__, **{field.name: as_json(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, np.ndarray):
        return {"array": list(value.shape), "values": value.ravel().tolist()}
    if isinstance(value, datetime):
        return {"instant": iso(value)}
    if isinstance(value, tuple):
        return [as_json(part) for part in value]
    if isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"expected part of a fitted model, got {type(value).__name__}")


def from_json(content: Any) -> Any:
    """Return the fitted model that some JSON content is.

    Raises:
        ValueError: a model of another name, or of other fields.
    """
    if isinstance(content, list):
        return tuple(from_json(part) for part in content)
    if not isinstance(content, dict):
        return content
    if "array" in content:
        return np.array(content["values"], np.float64).reshape(content["array"])
    if "instant" in content:
        return datetime.fromisoformat(content["instant"])
    kind = KNOWN.get(str(content.get("model")))
    given = {name: part for name, part in content.items() if name != "model"}
    if kind is None or set(given) != {field.name for field in fields(kind)}:
        raise ValueError(
            f"model: expected one of {sorted(KNOWN)} with its fields, got {content.get('model')} with {sorted(given)}"
        )
    return kind(**{name: from_json(part) for name, part in given.items()})
