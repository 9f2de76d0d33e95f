"""What is filled or odd in a series is among the reasons of the plan; what is overdue holds its sites; good data is silent."""

import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from seams.fleets import NOON, post_series, small_fleet

from models.base import iso
from models.plan import Plan
from models.time_grid import local_day_grid
from service.app import create_app
from service.config import Settings
from service.series_parquet import PARQUET
from service.wiring import assemble

HOUR = timedelta(hours=1)
DECLARED = {
    "name": "a-price", "kind": "price", "subject": "hub", "unit": "USD/MWh", "zone": "America/Chicago", "resolution_s": 3600,
    "source": "planted", "curve_type": "A01", "floor": -500, "cap": 5000, "fill": "previous", "late_after_s": 7_200,
}  # fmt: skip


class Planned:
    """A service of two sites whose index is told by one series of prices; plans need no solver."""

    def __init__(self, folder: Path) -> None:
        self.at = NOON
        self.service = assemble(Settings(data_dir=str(folder), port=0), now=lambda: self.at, load_reference=False)
        self.store = self.service.store
        self.store.fleets.add(small_fleet(2), by="test", at=NOON)
        post_series(self.store, NOON - HOUR, 60, index="elsewhere")
        assert self.service.leadership.lead()
        self.client = create_app(self.service.services).test_client()
        token = self.service.services.keyring.issue("feed", label="a feed", by="test", sites=())[1]
        self.headers = {"Authorization": f"Bearer {token}"}

    def tell(self, values: list[float | None], *, start: datetime = NOON, step: timedelta = HOUR, **changes: object) -> dict:
        declared = DECLARED | {"resolution_s": int(step.total_seconds())} | changes
        points = [{"start": iso(start + n * step), "value": v} for n, v in enumerate(values) if v is not None]
        body = {"declaration": declared, "known_at": iso(self.at), "points": points}
        answer = self.client.post(f"/v1/series/{declared['name']}", json=body, headers=self.headers)
        assert answer.status_code in (200, 422), answer.text
        return answer.json

    def plan(self) -> Plan:
        published = self.service.planner.publish_rule(f"plan-{self.at:%d%H%M}")
        assert published is not None
        plan = self.store.plans.get(published.plan_id)
        assert plan is not None
        return plan

    def alarms(self, code: str) -> list[str]:
        items = self.store.audit_log.page(limit=1000).items
        return [e.detail["words"] for e in items if e.action == "alarm" and e.subject == code]


@pytest.fixture
def planned(tmp_path):
    made = Planned(tmp_path)
    yield made
    made.service.desk.leadership.resign()
    made.service.store.close()


def about_prices(plan: Plan) -> list[str]:
    return [reason for reason in plan.reasons if reason.startswith("price_")]


ORDINARY = [30.0 + (n * 7) % 11 for n in range(50)]


def test_good_data_is_no_reason_for_anything(planned):
    planned.tell(ORDINARY)
    assert about_prices(planned.plan()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({10: None, 11: None}, "filled: 2 interval(s) of series a-price, from 2026-11-22T22:00:00Z: filled by the declared rule"),
        ({20: 4_900.0}, "flagged: 1 interval(s) of series a-price, from 2026-11-23T08:00:00Z: jump"),
    ],
)  # fmt: skip
def test_what_is_filled_or_odd_is_among_the_reasons_of_the_plan(planned, change, reason):
    planned.tell([change.get(n, value) for n, value in enumerate(ORDINARY)])
    plan = planned.plan()
    assert about_prices(plan) == [f"price_{reason}"]
    assert planned.alarms("input_missing") == []


def test_a_day_that_repeats_the_one_before_is_among_the_reasons(planned):
    day = local_day_grid("America/Chicago", NOON.date())
    values = [20.0 + n for n in range(24)]
    planned.at = day.start
    planned.tell(values, start=day.start)
    planned.at = NOON + 12 * HOUR
    planned.tell(values, start=day.end)
    (reason,) = [r for r in about_prices(planned.plan()) if "flagged" in r]
    assert reason.endswith("suspicious_repeat")


def test_what_is_refused_leaves_what_was_known(planned):
    planned.tell(ORDINARY)
    planned.at += timedelta(minutes=10)
    refused = planned.tell([value * 1000 for value in ORDINARY])
    assert refused["errors"][0]["code"] == "out_of_range"
    plan = planned.plan()
    assert about_prices(plan) == []
    problem = planned.store.plans.problem(plan.problem_digest)
    assert problem.prices_usd_per_mwh["hub"][1:3] == tuple(ORDINARY[1:3])


def test_an_overdue_series_holds_its_sites_on_the_rule_plan_with_an_alarm_after_one_cycle(planned):
    planned.tell(ORDINARY)
    planned.service.feeds.look_at_series()
    assert planned.alarms("series_stale") == []
    planned.at += timedelta(hours=2, minutes=1)
    planned.service.feeds.look_at_series()
    (alarm,) = planned.alarms("series_stale")
    assert alarm.startswith("stale: series a-price: newest is of 2026-11-22T12:00:00Z, 7260 s old, expected within 7200 s")
    plan = planned.plan()
    assert any("price_missing: stale: series a-price" in reason for reason in plan.reasons)
    assert any("held on its rule plan" in words for words in planned.alarms("input_missing"))
    planned.tell(ORDINARY, start=NOON + 2 * HOUR)
    planned.at += timedelta(minutes=1)
    assert about_prices(planned.plan()) == []


def rates(planned: Planned, values: list[float], **changes: object) -> None:
    told = planned.tell(
        values, name="usd.eur", kind="exchange", subject="EUR", unit="USD/unit", floor=None, cap=None, **changes
    )  # fmt: skip
    assert told["stored"] == len(values)


def problem_of(planned: Planned, plan: Plan):
    return planned.store.plans.problem(plan.problem_digest)


@pytest.mark.parametrize("currency", ["EUR", "AUD", "CAD", "GBP"])
def test_prices_of_another_currency_are_planned_with_at_the_rate_of_their_hour(planned, currency):
    rate = [1.05 + 0.001 * n for n in range(50)]
    planned.tell(ORDINARY, unit=f"{currency}/MWh")
    planned.tell(rate, name="fx", kind="exchange", subject=currency, unit="USD/unit", floor=None, cap=None)
    plan = planned.plan()
    grid = plan.grid
    assert about_prices(plan) == []
    told = problem_of(planned, plan).prices_usd_per_mwh["hub"][: grid.steps]
    assert told == pytest.approx([p * r for p, r in zip(ORDINARY, rate, strict=True)][: grid.steps])


def test_prices_of_another_currency_without_its_rate_hold_their_sites_and_say_why(planned):
    planned.tell(ORDINARY, unit="EUR/MWh")
    plan = planned.plan()
    words = "series a-price is in EUR/MWh, and no series of kind exchange tells what a unit of EUR is in USD"
    assert about_prices(plan) == [f"price_missing: {words}; 50 stands in at pecos, abilene"]
    assert any(words in alarm for alarm in planned.alarms("input_missing"))
    rates(planned, [1.1] * 50)
    planned.at += timedelta(minutes=1)
    assert about_prices(planned.plan()) == []


def test_a_rate_that_is_overdue_makes_its_prices_overdue(planned):
    planned.tell(ORDINARY, unit="EUR/MWh", late_after_s=86_400)
    rates(planned, [1.1] * 50)
    planned.at += timedelta(hours=2, minutes=1)
    (words,) = about_prices(planned.plan())
    assert words.startswith("price_missing: series a-price is in EUR/MWh, and stale: series usd.eur: newest is of")


def test_a_rate_that_is_none_makes_no_price(planned):
    planned.tell(ORDINARY, unit="EUR/MWh")
    rates(planned, [900.0] * 50)
    (words,) = about_prices(planned.plan())
    assert "series a-price comes to 27000 USD/MWh, expected -20000 to 20000" in words


def test_a_price_in_a_currency_that_is_not_read_is_refused_with_those_that_are(planned):
    refused = planned.tell(ORDINARY, unit="CHF/MWh")
    assert refused["errors"][0]["pointer"] == "/declaration/unit"
    assert "EUR/MWh" in refused["errors"][0]["detail"]


def test_quarters_and_hours_side_by_side_mean_the_same(planned):
    """The first by name that is usable counts; a quarter-hourly series gives the mean of its quarters, and a note says which."""
    planned.tell(ORDINARY)
    planned.tell([value for hour in ORDINARY for value in (hour - 3, hour - 1, hour + 1, hour + 3)],
                 step=timedelta(minutes=15), name="0-quarters")  # fmt: skip
    plan = planned.plan()
    assert about_prices(plan) == ["price_several: of 0-quarters, a-price, 0-quarters is used"]
    problem = planned.store.plans.problem(plan.problem_digest)
    assert problem.prices_usd_per_mwh["hub"][1:20] == pytest.approx(ORDINARY[1:20])


def test_a_gap_in_a_file_of_parquet_is_among_the_reasons_too(planned):
    starts = [NOON + n * HOUR for n in range(50) if n != 10]
    said = {"wattsplit": json.dumps({"declaration": DECLARED, "known_at": iso(NOON)})}
    table = pa.table({
        "start": pa.array(starts, pa.timestamp("us", tz="UTC")), "value": [v for n, v in enumerate(ORDINARY) if n != 10],
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(said), sink)
    answer = planned.client.post("/v1/series/a-price", data=sink.getvalue(), content_type=PARQUET, headers=planned.headers)
    assert answer.status_code == 200, answer.text
    (reason,) = about_prices(planned.plan())
    assert reason.startswith("price_filled: 1 interval(s) of series a-price")
