"""A month of small mining sites whose demand charges decide what is worth running: real prices, from peak 0."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from models.asic import AsicGroup, Mode
from models.contract import IndexPrice
from models.demand_charge import DemandCharge
from models.fleet import Fleet
from models.problem import Problem
from models.settlement import meter_by_month, month_bill_usd
from models.site import Site
from models.state import GroupState, SiteState, State
from models.take_or_pay import TakeOrPay
from models.time_grid import hourly
from scenarios.feed import replay

HASHPRICE = 33.25
ZONE = "Etc/UTC"
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
HOURS = 720
Figures = tuple[tuple[str, float, float], ...]
"""Price index, J/TH in eco, and USD per kW of the month's peak; the last site must take 60 % of what it could as well."""
OF_THE_WEEK: Figures = (
    ("NYISO_WEST", 19.0, 6.0), ("NYISO_CENTRAL", 17.5, 12.0), ("PJM_DOM", 17.5, 12.0), ("ERCOT_HB_WEST", 22.0, 5.0),
    ("ERCOT_HB_NORTH", 30.0, 3.0),
)  # fmt: skip
OF_JUNE_2023: Figures = (
    ("NYISO_WEST", 38.0, 4.0), ("NYISO_CENTRAL", 36.0, 4.0), ("PJM_DOM", 34.0, 6.0), ("ERCOT_HB_WEST", 34.0, 6.0),
    ("ERCOT_HB_NORTH", 44.0, 3.0),
)  # fmt: skip
REAL = {
    "NYISO_WEST": ("nyiso_rt_hourly_zones_2020_2023.parquet", "WEST"),
    "NYISO_CENTRAL": ("nyiso_rt_hourly_zones_2020_2023.parquet", "CENTRAL"),
    "PJM_DOM": ("pjm_rt_hourly_dom_2020_2024.parquet", "DOM"),
    "ERCOT_HB_WEST": ("ercot_rt_15min_hubs_2020_2024.parquet", "HB_WEST"),
    "ERCOT_HB_NORTH": ("ercot_rt_15min_hubs_2020_2024.parquet", "HB_NORTH"),
}
"""Where the prices of a real June stand in the folder of larger data."""


def mine(index: str, j_per_th: float, usd_per_kw: float, **contracts) -> Site:
    """Twenty blocks of 0.26 MW in eco and 0.35 MW in normal mode, of about 7 MW together."""
    eco = Mode(name="eco", miner_power_w=2550, miner_hash_th_per_s=2550 / j_per_th)
    normal = Mode(name="normal", miner_power_w=3500, miner_hash_th_per_s=3500 / (1.04 * j_per_th))
    row = AsicGroup(
        name="row", model="assumed", blocks=20, miners_per_block=100, modes=(eco, normal), sleep_power_w=20, start_wear_usd=3.0,
        min_up_s=3600, warm_up_s=600,
    )  # fmt: skip
    return Site(
        name=index, region="r", country="US", zone=ZONE, ambient="air", connection_limit_w=8_000_000,
        contract=IndexPrice(index=index, adder_usd_per_mwh=5), demand_charge=DemandCharge(usd_per_kw_month=(usd_per_kw,) * 12),
        asic_groups=(row,), **contracts,
    )  # fmt: skip


def sites_of(figures: Figures) -> tuple[Site, ...]:
    """Return the mines of some figures, the last with its least take."""
    *rest, (index, j_per_th, usd_per_kw) = figures
    taking = TakeOrPay(least_mwh=0.6 * 7.04 * HOURS, shortfall_usd_per_mwh=20.0)
    return (*(mine(*each) for each in rest), mine(index, j_per_th, usd_per_kw, take_or_pay=taking))


def month(sites: tuple[Site, ...], prices: dict[str, tuple[float, ...]], start: datetime = JUNE) -> Problem:
    """Return the history of what is left of June, nothing running and nothing counted before."""
    grid = hourly(start, int((JUNE + timedelta(hours=HOURS) - start) / timedelta(hours=1)))
    states = {s.name: SiteState(draw_w=0, groups={"row": GroupState()}, as_of=start) for s in sites}
    return Problem(
        name="june", grid=grid, fleet=Fleet(name="five", sites=sites), hashprice_usd_per_ph_day=(HASHPRICE,) * grid.steps,
        prices_usd_per_mwh={s.name: prices[s.name][-grid.steps :] for s in sites}, ambient_c={"air": (15.0,) * grid.steps},
        state=State(at=start, sites=states),
    )  # fmt: skip


def replayed_prices() -> dict[str, tuple[float, ...]]:
    """The week of the reference feed, over and over."""
    return replay(hourly(JUNE, HOURS)).prices_usd_per_mwh


def real_prices(folder: Path, year: int = 2023) -> dict[str, tuple[float, ...]]:
    """June of a real year, hour by hour in real time; gaps of up to three hours take the value before them."""
    import pandas

    hours = pandas.date_range(datetime(year, 6, 1, tzinfo=UTC), periods=HOURS, freq="h")
    found = {}
    for index, (file, column) in REAL.items():
        table = pandas.read_parquet(folder / "prices" / file).set_index("ts_utc")[column]
        found[index] = tuple(table.resample("h").mean().reindex(hours).ffill(limit=3).tolist())
    return found


def month_profit_usd(history: Problem, plan) -> float:
    """Hash less wear less the bills of the whole month in plain arithmetic, whatever a plan says of its own money."""
    earned = sum(plan.money_by_term_usd.get(term, 0.0) for term in ("hashing_revenue", "asic_start_wear"))
    for site in history.fleet.sites:
        draw_w = plan.sites[site.name].draw_w
        idle = hourly(JUNE, HOURS).steps - history.grid.steps
        whole = (*(0,) * idle, *draw_w)
        prices = {site.name: (*(0.0,) * idle, *history.prices_usd_per_mwh[site.name])}
        meter = meter_by_month(ZONE, JUNE, 3600, whole)
        earned -= sum(month_bill_usd(site, hourly(JUNE, HOURS), whole, meter, prices_usd_per_mwh=prices).values())
    return earned
