"""A service of two sites, one of which pays a price that a trained model forecasts; what it is told is seeded.

behind = forecasting(folder, at)       assembled, its model trained, nothing planned yet; pecos pays `west`, abilene `hub`
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from seams.fleets import post_series, small_fleet

from service.config import Settings
from service.forecasting import Trainer
from service.store import Store
from service.store.series_records import SeriesDeclaration, SeriesPoint
from service.wiring import Service, assemble

HOUR = timedelta(hours=1)
DAYS, TOLD_H = 150, 14
"""Days of history, and hours ahead that a day-ahead auction has told."""


def forecasting(folder: Path, now: Callable[[], datetime], *, train: bool = True) -> Service:
    behind = assemble(Settings(data_dir=str(folder), port=0), now=now, load_reference=False)
    hour = now().replace(minute=0, second=0, microsecond=0)
    fleet = small_fleet(2)
    pecos = fleet.sites[0].model_copy(update={"contract": fleet.sites[0].contract.model_copy(update={"index": "west"})})
    behind.store.fleets.add(fleet.model_copy(update={"sites": (pecos, fleet.sites[1])}), by="test", at=hour)
    post_series(behind.store, hour - 2 * HOUR, 80)
    tell_west(behind.store, hour)
    if train:
        (model,) = [m for m in Trainer(behind.store, now).turn() if m.series == "price-west"]
        assert model.is_used
    assert behind.leadership.lead()
    return behind


def tell_west(store: Store, hour: datetime) -> None:
    """Dear by day and on weekdays, with levels that go on from hour to hour."""
    declared = SeriesDeclaration(
        name="price-west", kind="price", subject="west", unit="USD/MWh", zone="America/Chicago", resolution_s=3600,
        source="a test", curve_type="A01",
    )  # fmt: skip
    store.series.declare(declared, at=hour - DAYS * 24 * HOUR)
    noise, level, points = np.random.default_rng(1), 0.0, []
    for n in range(-DAYS * 24, TOLD_H):
        at, level = hour + n * HOUR, 0.9 * level + noise.normal(0, 4)
        value = 40 + 15 * np.sin(2 * np.pi * (at.hour - 14) / 24) + (8 if at.weekday() < 5 else -8) + level
        points.append(SeriesPoint(start=at, value=float(value), known_at=min(at - 10 * HOUR, hour)))
    store.series.add(declared.name, points)
