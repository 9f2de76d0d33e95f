"""How sure a plan's prices are: where they are forecasts, and the 10 and 90 per cent of the model that the plan stands on."""

import csv
import io
from datetime import UTC, datetime

import pytest
from priced import HOUR, TOLD_H, forecasting

from models.base import iso
from service.app import create_app
from service.price_bands import price_bands
from service.store.series_records import SeriesPoint
from service.web.routes import page_routes

AT = datetime(2026, 11, 22, 12, 5, 7, 123_456, tzinfo=UTC)
"""Not on a whole second: the clock of a real service never is."""
NOON = AT.replace(minute=0, second=0, microsecond=0)
KNOWN_UNTIL = NOON + TOLD_H * HOUR


class Shown:
    """The service, its plan, and what it answers."""

    def __init__(self, folder, **how) -> None:
        self.behind = forecasting(folder, lambda: AT, **how)
        self.store = self.behind.store
        self.plan = self.store.plans.get(self.behind.planner.publish_rule("start").plan_id)
        self.problem = self.store.plans.problem(self.plan.problem_digest)
        services = self.behind.services
        self.client = create_app(services, page_routes(services, release="1")).test_client()

    def price(self, site: str | None = None):
        query = {"site": site} if site else {}
        answer = self.client.get(f"/v1/plans/{self.plan.plan_id}/overview", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json["price"]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    made = Shown(tmp_path_factory.mktemp("priced"))
    yield made
    made.behind.stop()


def first_of(plan) -> int:
    return next(t for t, start in enumerate(plan.grid.starts) if start >= KNOWN_UNTIL)


def test_a_plan_at_any_second_stands_on_the_trained_model(shown):
    (reason,) = [words for words in shown.plan.reasons if words.startswith("price_forecast: series price-west")]
    assert f"known until {iso(KNOWN_UNTIL)}" in reason
    assert "take the mean of lear 1 (version 1, trained 2026-11-22" in reason


def test_the_band_is_that_of_the_forecast_that_the_plan_stands_on(shown):
    price, first = shown.price("pecos"), first_of(shown.plan)
    hours = shown.plan.grid.steps - first
    told = shown.client.get(f"/v1/forecasts/price-west?start={iso(KNOWN_UNTIL)}&hours={hours}").json["forecast"]
    contract = shown.problem.fleet.site_by_name["pecos"].contract
    at = dict(zip(told["levels_ppm"], told["values"], strict=True))
    paid = lambda row: [v / (1 - contract.loss_share) + contract.adder_usd_per_mwh for v in row]  # noqa: E731
    assert price["forecast_from"] == first
    assert price["p10_usd_per_mwh"][first:] == pytest.approx(paid(at[100_000]))
    assert price["p90_usd_per_mwh"][first:] == pytest.approx(paid(at[900_000]))
    assert price["mean_usd_per_mwh"][first:] == pytest.approx(paid(told["mean"]))
    assert price["p10_usd_per_mwh"][:first] == price["p90_usd_per_mwh"][:first] == price["mean_usd_per_mwh"][:first]
    assert all(low < high for low, high in zip(price["p10_usd_per_mwh"][first:], price["p90_usd_per_mwh"][first:], strict=True))


def test_a_price_that_is_known_has_no_band_and_the_fleet_s_is_the_mean_of_its_sites(shown):
    abilene = shown.price("abilene")
    assert (abilene["forecast_from"], abilene["p10_usd_per_mwh"], abilene["p90_usd_per_mwh"]) == (None, [], [])
    fleet, pecos, first = shown.price(), shown.price("pecos"), first_of(shown.plan)
    for t in range(first, shown.plan.grid.steps):
        draws = [shown.plan.sites[name].draw_w[t] for name in ("pecos", "abilene")]
        shares = [w / sum(draws) for w in draws] if sum(draws) else [0.5, 0.5]
        expected = shares[0] * pecos["p90_usd_per_mwh"][t] + shares[1] * abilene["mean_usd_per_mwh"][t]
        assert fleet["p90_usd_per_mwh"][t] == pytest.approx(expected)


def test_the_table_as_csv_holds_the_band_where_the_price_is_a_forecast(shown):
    price, first = shown.price("pecos"), first_of(shown.plan)
    table = shown.client.get(f"/v1/plans/{shown.plan.plan_id}/table.csv?site=pecos").text
    for t, row in enumerate(csv.DictReader(io.StringIO(table))):
        band = [row["energy_price_p10_usd_per_mwh"], row["energy_price_p90_usd_per_mwh"]]
        if t < first:
            assert band == ["", ""]
        else:
            expected = [price["p10_usd_per_mwh"][t], price["p90_usd_per_mwh"][t]]
            assert [float(cell) for cell in band] == pytest.approx(expected, abs=1e-4)


def test_what_is_told_later_changes_no_band(shown):
    before = price_bands(shown.store, shown.problem, shown.plan)
    later = [SeriesPoint(start=NOON - n * HOUR, value=900.0, known_at=NOON + HOUR) for n in range(1, 40)]
    shown.store.series.add("price-west", later)
    assert price_bands(shown.store, shown.problem, shown.plan) == before


def test_a_band_that_does_not_lead_to_the_plan_s_own_prices_is_not_drawn(shown):
    prices = shown.problem.prices_usd_per_mwh
    other = shown.problem.model_copy(update={"prices_usd_per_mwh": prices | {"west": tuple(v + 1 for v in prices["west"])}})
    (band,) = price_bands(shown.store, other, shown.plan).values()
    assert (band.since, band.rows) == (KNOWN_UNTIL, None)


def test_a_version_that_is_not_kept_any_more_leaves_the_beginning(shown):
    reasons = tuple(words.replace("(version 1,", "(version 77,") for words in shown.plan.reasons)
    (band,) = price_bands(shown.store, shown.problem, shown.plan.model_copy(update={"reasons": reasons})).values()
    assert (band.since, band.rows) == (KNOWN_UNTIL, None)


def test_where_a_plain_rule_goes_on_there_is_a_beginning_and_no_band(tmp_path):
    made = Shown(tmp_path, train=False)
    price = made.price("pecos")
    assert (price["forecast_from"], price["p10_usd_per_mwh"]) == (first_of(made.plan), [])
    made.behind.stop()
