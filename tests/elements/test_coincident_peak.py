"""Coincident peaks alone, on figures worked out by hand; and the local hours that they share with other contracts."""

from datetime import UTC, datetime, timedelta

import pytest
from by_hand import alone, problem, site, solved, usd

from models.coincident_peak import CoincidentPeak, PeakHours
from models.local_hours import LocalHours, shares_inside
from models.time_grid import TimeGrid, hourly
from optimizer.contribution import Contribution, earn
from optimizer.elements.coincident_peak import coincident_peak
from optimizer.elements.meter import site_meter


def cost(of, *draw_kw):
    def declare(model):
        model.variable("load", "SITES", "STEPS")
        draw_kw = site_meter(model, [Contribution(power_kw=lambda m, s, t: m.load[s, t])])
        earn(model, [coincident_peak(model, draw_kw)])

    compiled = alone(declare, of)
    return usd(compiled, solved(compiled, draw=[draw_kw]), "coincident_peak").tolist()


def test_a_year_of_four_peaks_by_the_probability_of_each_hour():
    """At 48 USD/kW and year, one of four peaks is worth 12 USD/kW; a quarter of it is expected in an hour, or 0.1."""
    late = PeakHours(hours=LocalHours(months=(7,), from_h=16, to_h=18), probability_share=0.25)
    any_time = PeakHours(hours=LocalHours(months=(7,)), probability_share=0.1)
    charge = CoincidentPeak(usd_per_kw_peak=48.0 / 4, likely=(late, any_time))
    start = datetime(2026, 7, 8, 20, tzinfo=UTC)  # 15:00 in Chicago
    of = problem(site(coincident_peak=charge), start=start, step_s=(3600, 5400, 3600))
    assert cost(of, 100, 10, 1) == pytest.approx([-1200 * 0.1, -120 * 1.5 * 0.35, -12 * (0.1 + 0.25 / 2)])
    winter = problem(site(coincident_peak=charge))
    assert cost(winter, 900, 900) == [0, 0]


def test_a_site_that_does_not_pay_for_peaks_has_no_such_money():
    assert cost(problem(site()), 900, 900) == []


def hours_of(hours, start, count, zone="Europe/Paris"):
    return [round(share, 9) for share in shares_inside(zone, hours, hourly(start, count))]


def test_hours_are_those_of_the_local_clock():
    evening = LocalHours(from_h=18, to_h=20)
    assert hours_of(evening, datetime(2026, 7, 8, 15, tzinfo=UTC), 4) == [0, 1, 1, 0]
    assert hours_of(evening, datetime(2026, 1, 8, 15, tzinfo=UTC), 5) == [0, 0, 1, 1, 0]
    night = LocalHours(from_h=22, to_h=2, week_days=(4,))  # a Friday
    assert hours_of(night, datetime(2026, 7, 10, 20, tzinfo=UTC), 6) == [1, 1, 0, 0, 0, 0]
    assert hours_of(night, datetime(2026, 7, 9, 20, tzinfo=UTC), 6) == [0, 0, 1, 1, 0, 0]


def test_an_hour_that_the_clock_repeats_counts_twice_and_one_left_out_not_at_all():
    second = LocalHours(from_h=2, to_h=3)
    assert sum(hours_of(second, datetime(2026, 10, 24, 22, tzinfo=UTC), 25)) == 2
    assert sum(hours_of(second, datetime(2026, 3, 28, 23, tzinfo=UTC), 23)) == 0


def test_a_step_takes_the_share_of_its_time():
    grid = TimeGrid(start=datetime(2026, 7, 8, 15, 40, tzinfo=UTC), step_s=(1200, 2400, 14_400))
    assert shares_inside("Europe/Paris", LocalHours(from_h=18, to_h=20), grid) == pytest.approx((0, 1, (3600 + 1200) / 14_400))


def test_half_hour_zones():
    grid = hourly(datetime(2026, 7, 8, 12, tzinfo=UTC), 2)  # 17:30 in Kolkata
    assert shares_inside("Asia/Kolkata", LocalHours(from_h=18, to_h=20), grid) == (0.5, 1.0)


def test_a_window_without_hours_is_refused():
    with pytest.raises(ValueError, match="expected another hour"):
        LocalHours(from_h=5, to_h=5)


def test_windows_of_a_week_add_up():
    grid = hourly(datetime(2026, 7, 6, 5, tzinfo=UTC), 168)
    shares = shares_inside("America/Chicago", LocalHours(week_days=(0, 1, 2, 3, 4), from_h=7, to_h=23), grid)
    assert sum(shares) == 5 * 16
    assert grid.end - grid.start == timedelta(days=7)
