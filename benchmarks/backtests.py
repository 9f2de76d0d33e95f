"""The published back-tests: what planning earns on real history, against today's rules and perfect foresight.

    python3 dev.py bench backtests                                 the mean-value set: four periods of 28 days, WATTSPLIT_DATA
    python3 dev.py bench backtests --days 7 --stochastic           its first 7 days, with plans over paths of forecasts as well
    python3 dev.py bench backtests --periods ercot-2023            one of them; several with commas between
    python3 dev.py bench backtests --knowledge naive --out FOLDER  by plain rules; in a folder of one's own

Policies of all periods are played side by side by `--jobs` processes. What is done stays in the folder: the same command goes
on where it was broken off. Prints the table, and leaves report, page and rows of each period in its part of the folder.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scenarios.backtest.histories import HISTORIES, MEAN_VALUE_SET, spec_of  # noqa: E402  # after the path
from scenarios.backtest.published import run_set, table  # noqa: E402  # after the path
from scenarios.backtest.records import POLICIES  # noqa: E402  # after the path
from service.app import release  # noqa: E402  # after the path
from service.backtesting.conduct import take_away  # noqa: E402  # after the path


def main() -> int:
    """Run the set that is asked for, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, help="replay only the first days of each period")
    parser.add_argument("--periods", default=",".join(MEAN_VALUE_SET), help=f"of {', '.join(HISTORIES)}")
    parser.add_argument("--knowledge", default="model", choices=("model", "naive", "perfect"))
    parser.add_argument("--stochastic", action="store_true", help="plan over paths of forecasts as well")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / ".wattsplit" / "backtests")
    asked = parser.parse_args()
    data = os.environ.get("WATTSPLIT_DATA")
    policies = (*POLICIES[:1], *(("plan_stochastic",) if asked.stochastic else ()), *POLICIES[1:])
    specs = [spec_of(name, asked.days, knowledge=asked.knowledge, policies=policies) for name in asked.periods.split(",")]
    out = asked.out / f"{asked.knowledge}-{asked.days or 'all'}"
    reports = run_set(
        specs, folder=out, data=Path(data) if data else None, workers=asked.jobs, tell=lambda w: print(w, flush=True)
    )
    for one in reports:
        take_away(one, out / one.spec.name, out / one.spec.name, Path(data) if data else None, release=release())
    print(table(reports))
    for one in reports:
        for name in ("plan", "plan_stochastic", "plan_perfect", "perfect_foresight", *POLICIES[3:]):
            if (result := one.result(name)) is not None:
                words = f"worst 5 % {result.worst_hours_usd:11,.0f} USD/h  {result.cpu_s:8,.0f} core-s"
                print(f"{one.spec.name:14} {name:18} {result.profit_usd:15,.0f} USD  {words}  {len(result.broken)} rules broken")
        for added in one.contracts:
            print(f"{one.spec.name:14} contract {added.contract:18} {added.usd:12,.0f} USD ({added.how})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
