"""Five small sites with real rules: minimum runs and rests, warm-up, loading, ramps, shared inference, batch work."""

from datetime import UTC, datetime, timedelta

from models.asic import AsicGroup, Mode
from models.contract import FixedPrice, IndexPrice
from models.cooling import Cooling
from models.fleet import Fleet
from models.gpu import GpuPool
from models.service_level import ServiceLevel
from models.site import SafeProfile, Site
from models.workload import BatchWorkload, InteractiveWorkload, ReservedWorkload
from service.store import Store
from service.store.series_records import SeriesDeclaration, SeriesPoint

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAMES = ("pecos", "abilene", "massena", "rockdale", "hudson")
MODES = (
    Mode(name="eco", miner_power_w=2_400, miner_hash_th_per_s=140.0),
    Mode(name="normal", miner_power_w=3_500, miner_hash_th_per_s=200.0),
)


def miners(blocks: int = 8) -> AsicGroup:
    return AsicGroup(
        name="row", model="S21", blocks=blocks, miners_per_block=100, modes=MODES, sleep_power_w=15, min_up_s=7_200,
        min_down_s=3_600, warm_up_s=600, start_wear_usd=2.0, cooling=Cooling(base_pue_milli=1050, rise_milli_per_c=5),
    )  # fmt: skip


def nodes(count: int = 6) -> GpuPool:
    return GpuPool(
        name="h100", gpu_type="h100", nodes=count, node_fixed_w=8_000, node_span_w=2_000, load_s=600, min_up_s=3_600,
        throughput_tokens_per_s={"llama": 20_000}, start_cost_usd=1.0,
    )  # fmt: skip


def small_fleet(sites: int = 5) -> Fleet:
    made = []
    for number, name in enumerate(NAMES[:sites]):
        made.append(
            Site(
                name=name, region="texas" if number % 2 == 0 else "east", country="US", zone="America/Chicago",
                ambient="air", connection_limit_w=3_400_000, base_load_w=20_000, ramp_w_per_min=60_000,
                contract=IndexPrice(index="hub") if number != 3 else FixedPrice(price_usd_per_mwh=48.0),
                asic_groups=(miners(8),), gpu_pools=(nodes(6),) if number < 3 else (),
                safe=SafeProfile(mining_share=0.5, gpu_share=1.0),
            )
        )  # fmt: skip
    routes = {site.region: 0.0 for site in made}
    workloads = (
        InteractiveWorkload(
            name="chat", model="llama", price_usd_per_mwork=0.4, unserved_usd_per_mwork=1.0, routing_usd_per_mwork=routes,
            service_level=ServiceLevel(served_ppm=980_000, period="day", zone="America/Chicago", shortfall_usd_per_mwork=0.5),
        ),
        BatchWorkload(
            name="nightly", model="llama", price_usd_per_mwork=0.1, deadline_s=6 * 3600, late_usd_per_mwork_h=0.05,
            routing_usd_per_mwork=routes,
        ),
        ReservedWorkload(
            name="rented", gpu_type="h100", price_usd_per_mwork=12.0, unserved_usd_per_mwork=20.0, routing_usd_per_mwork=routes
        ),
    )  # fmt: skip
    return Fleet(name="small", sites=tuple(made), workloads=workloads)


PRICES = (18.0, 400.0, 25.0, 35.0, 320.0, 30.0, 410.0, -5.0, 12.0, 380.0, 360.0, 36.0)
CHAT = (150e6, 220e6, 380e6, 520e6, 430e6, 260e6)


def post_series(store: Store, start: datetime, hours: int, *, index: str = "hub") -> None:
    """Post every series that the small fleet needs, from a start on, all known then."""
    steps = range(hours)
    tables = {
        ("price", index, "USD/MWh"): [PRICES[t % len(PRICES)] + (t % 7) for t in steps],
        ("hashprice", None, "USD/PH/day"): [46.0] * hours,
        ("ambient", "air", "degC"): [12.0 + 10 * ((t % 24) / 24) for t in steps],
        ("demand", "chat", "tokens/h"): [CHAT[t % len(CHAT)] for t in steps],
        ("demand", "nightly", "tokens/h"): [90e6 if t % 6 == 0 else 10e6 for t in steps],
        ("demand", "rented", "micro-node-hours/h"): [2e6] * hours,
    }
    for (kind, subject, unit), values in tables.items():
        name = f"{kind}-{subject or 'all'}"
        store.series.declare(
            SeriesDeclaration.model_validate(
                {
                    "name": name, "kind": kind, "subject": subject, "unit": unit, "zone": "UTC", "resolution_s": 3600,
                    "source": "made for tests", "curve_type": "A01", "late_after_s": 31 * 86_400,
                }
            ),
            at=start,
        )  # fmt: skip
        step = 3600
        points = [
            SeriesPoint(start=datetime.fromtimestamp(start.timestamp() + step * t, UTC), value=float(v), known_at=start)
            for t, v in enumerate(values)
        ]
        store.series.add(name, points)
        if kind == "price":
            store.series.add(name, [surprise(p, t) for t, p in enumerate(points) if t % 5 == 3 or t % 7 == 2])


def surprise(point: SeriesPoint, hour: int) -> SeriesPoint:
    """What a price turns out to be, known half an hour before: dear where it was cheap, and the other way round."""
    return SeriesPoint(
        start=point.start, value=450.0 if point.value < 200 else 15.0 + hour % 3, known_at=point.start - timedelta(minutes=30)
    )
