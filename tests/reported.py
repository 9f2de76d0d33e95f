"""Reports of back-tests that no fleet has run: seeded prices, and policies of different wits, that add up."""

from datetime import UTC, datetime
from itertools import accumulate, pairwise
from random import Random

from models.time_grid import hourly
from scenarios.backtest.records import (
    POLICIES,
    RULES,
    BacktestReport,
    BacktestSpec,
    ContractAdded,
    DataFlag,
    Market,
    PolicyName,
    PolicyResult,
    Regret,
    WorkDone,
)

START = datetime(2023, 8, 1, 5, tzinfo=UTC)
MINING_MW, SERVING_MW, BREAK_EVEN, HASH_PER_MWH = 90.0, 6.0, 62.0, 62.0
WITS: dict[PolicyName, tuple[float, float]] = {
    "perfect_foresight": (0.0, 1.0),
    "plan_perfect": (3.0, 1.0),
    "plan": (14.0, 0.995),
    "plan_stochastic": (12.0, 0.996),
    "inference_first": (18.0, 0.99),
    "break_even": (25.0, 0.93),
    "two_strike": (35.0, 0.93),
    "day_ahead": (45.0, 0.93),
    "real_time_lag": (30.0, 0.93),
    "always_mining": (1e6, 0.93),
}
"""How far a policy errs about the price [USD/MWh], and how much of the inference demand it serves."""


def prices(random: Random, steps: int) -> tuple[float, ...]:
    """Prices of a hot summer: cheap nights, dear evenings, now and then a shortage or a surplus."""
    found = []
    for t in range(steps):
        hour = (t + 24) % 24
        shape = 22 + 30 * max(0.0, 1 - abs(hour - 17) / 5)
        shock = random.choice([800, 2_500]) if hour in (16, 17, 18, 19) and random.random() < 0.06 else 0.0
        found.append(round(shape + random.gauss(0, 8) + shock - (45 if random.random() < 0.02 else 0), 2))
    return tuple(found)


def result(policy: PolicyName, real: tuple[float, ...], scored: tuple[bool, ...], seed: int) -> PolicyResult:
    """What a policy of its wits makes of the prices."""
    random, (error, serves) = Random(f"{policy} {seed}"), WITS[policy]
    mines = [policy == "always_mining" or price + random.gauss(0, error) < BREAK_EVEN for price in real]
    draw = [SERVING_MW * serves + MINING_MW * (1.0 if on else 0.02) for on in mines]
    by_term = {
        "hashing_revenue": [HASH_PER_MWH * MINING_MW * on for on in mines],
        "inference_revenue": [1_450.0 * SERVING_MW * serves for _ in real],
        "energy_cost": [-price * mw for price, mw in zip(real, draw, strict=True)],
        "asic_start_wear": [-40.0 * (on and not before) for on, before in zip(mines, (True, *mines[:-1]), strict=True)],
        "unserved_penalty": [-2_000.0 * SERVING_MW * (1 - serves) for _ in real],
        "demand_charge": [-9_000.0 * max(draw) / len(real) for _ in real],
    }
    usd = tuple(sum(step) for step in zip(*by_term.values(), strict=True))
    kept = [value * counts for value, counts in zip(usd, scored, strict=True)]
    terms = {name: sum(v * counts for v, counts in zip(values, scored, strict=True)) for name, values in by_term.items()}
    worst = sorted(kept)[: max(1, len(kept) // 20)]
    plans = len(real) if policy in ("plan", "plan_perfect") else 0
    return PolicyResult(
        policy=policy, words=f"Errs by {error:g} USD/MWh and serves {100 * serves:g} % of the demand.",
        profit_usd=sum(kept), all_hours_usd=sum(usd), by_term_usd=terms, by_owner_usd={"pecos": sum(kept)}, usd=usd,
        curve_usd=tuple(accumulate(kept)), draw_mw=tuple(draw), inference_mw=tuple(SERVING_MW * serves for _ in real),
        energy_mwh=sum(draw), hash_ph_days=sum(mines) * 180.0, block_starts=sum(b and not a for a, b in pairwise(mines)),
        work={"chat": WorkDone(demanded_work=1e9, served_work=1e9 * serves)}, node_starts=3,
        worst_hours_usd=sum(worst) / len(worst), hours_scored=float(sum(scored)), hours_left_out=float(len(scored) - sum(scored)),
        plans=plans, plans_not_optimised=plans // 300, cpu_s=0.8 * plans, wall_s=1.0 * plans,
    )  # fmt: skip


def report(seed: int = 0, days: int = 28, policies: tuple[PolicyName, ...] = POLICIES, **more: object) -> BacktestReport:
    """Return a report whose parts add up."""
    random, steps = Random(seed), 24 * days
    real = prices(random, steps)
    gap = range(steps // 3, steps // 3 + min(5, steps))
    scored = tuple(t not in gap for t in range(steps))
    spec = BacktestSpec(
        name="summer", title="A hot summer in Texas", history="made-up", start=START, steps=steps, fleet="ten", policies=policies,
        markets=(Market(index="hub", market="ERCOT West", zone="America/Chicago", source="seeded"),),
    )  # fmt: skip
    results = tuple(result(policy, real, scored, seed) for policy in policies)
    profit = {r.policy: r.profit_usd for r in results}
    best = max((p for p in policies if p in RULES), key=lambda p: profit[p], default=None)
    perfect, plan, windows = (profit.get(p) for p in ("perfect_foresight", "plan", "plan_perfect"))
    missed = None
    if perfect is not None and plan is not None and windows is not None:
        solver, machines = 0.002 * perfect, 0.1 * (windows - plan)
        missed = Regret(
            perfect_usd=perfect, realised_usd=plan, horizon_usd=perfect - windows, execution_usd=machines, solver_gap_usd=solver,
            forecast_error_usd=windows - plan - machines - solver,
        )  # fmt: skip
    instead = "missing in real time; the day-ahead price stands in for it"
    charged = ContractAdded(contract="demand_charge", sites=2, usd=-8_700.5, how="settled", steps=steps)
    content = {
        "spec": spec, "grid": hourly(START, steps), "scored": scored, "prices_usd_per_mwh": {"real-time": real},
        "policies": results, "best_rule": best, "regret": missed, "contracts": (charged,),
        "share_of_perfect": plan / perfect if plan and perfect else None,
        "gain_usd": plan - profit[best] if plan and best else None,
        "gain_share": plan / profit[best] - 1 if plan and best else None,
        "flags": (DataFlag(series="hub", start=START, end=START, intervals=5, is_left_out=True, what=instead),),
        "notes": ("Seeded, not measured.",), "sources": {"hub": "a random generator"}, "cpu_s": 610.5,
        "cpu_s_per_hour": 610.5 / steps,
    }  # fmt: skip
    return BacktestReport.model_validate(content | more)
