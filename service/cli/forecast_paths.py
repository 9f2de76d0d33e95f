"""`wattsplit forecast paths`: futures of a problem out of the history of its series, from a file or the running service."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.exits import bad_input
from service.cli.say import Say

if TYPE_CHECKING:
    from scenarios.forecast.paths import Subject
    from scenarios.timed import Timed

HISTORY, AHEAD = timedelta(days=400), timedelta(days=31)
MOST_POINTS = 100_000
"""What one answer of the service holds."""


def make_paths(
    source: str, history: str | None, *, count: int, seed: int, recourse_after: str, zone: str, out: Path, say: Say
) -> None:
    """Forecast the series of a problem, draw joint paths, and write them as futures.

    Raises:
        CommandError: the problem or the history is refused, or too short for a forecast (exit 3).
    """
    import yaml

    from scenarios.forecast.problem_paths import problem_futures
    from scenarios.history_file import read_history
    from service.cli.durations import seconds
    from service.cli.inputs import before_writing, content_of, read_problem, refusing, write

    before_writing(out)
    problem = read_problem(source)
    if history is not None:
        raw = content_of(history, "history", "a CSV file")
        with refusing(f"{history} as a history"):
            known = read_history(raw, zone)
    else:
        known = told(problem.grid.start)
    try:
        with refusing("the paths"):
            made = problem_futures(problem, known, count=count, seed=seed, recourse_after_s=int(seconds(recourse_after)))
    except ValueError as error:
        raise bad_input(f"{history or 'the running service'}: {error}") from None
    content = made.model_dump(mode="json", exclude_none=True)
    if out.suffix.lower() in (".yaml", ".yml"):
        write(out, yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=130))
    else:
        write(out, made.model_dump_json(indent=1, exclude_none=True) + "\n")
    for one in made.scenarios:
        say.note(f"{one.name}: {one.probability_ppm / 1e4:.1f} %")
    say.result(
        {"file": str(out), "scenarios": len(made.scenarios), "digest": made.digest, "source": made.source},
        lambda console: console.print(f"wrote {len(made.scenarios)} paths to {out}; {made.source}", highlight=False),
    )


def told(at: datetime) -> "dict[Subject, Timed]":
    """Return what the running service has of every series that a future may replace, as it was known at an instant."""
    import numpy as np

    from models.base import iso
    from scenarios.forecast.paths import HASHPRICE
    from scenarios.history_file import FAMILIES
    from scenarios.local_clock import seconds
    from scenarios.timed import Timed
    from service.cli.running import running

    service, found = running(), {}
    for head in service.get("/v1/series")["items"]:
        declared: dict[str, Any] = head["declaration"]
        kind = declared["kind"]
        if kind != "hashprice" and kind not in FAMILIES:
            continue
        readable = MOST_POINTS * timedelta(seconds=declared["resolution_s"]) - AHEAD
        window = {"start": iso(at - min(HISTORY, readable)), "end": iso(at + AHEAD), "known_by": iso(at)}
        points = service.get(f"/v1/series/{declared['name']}", **window)["points"]
        rows = [(datetime.fromisoformat(p["start"]), datetime.fromisoformat(p["known_at"]), p["value"]) for p in points]
        found[HASHPRICE if kind == "hashprice" else (FAMILIES[kind], declared["subject"])] = Timed(
            declared["name"], declared["unit"], declared["zone"], declared["resolution_s"],
            np.array([seconds(start) for start, _, _ in rows], np.int64),
            np.array([-(-known.timestamp() // 1) for _, known, _ in rows], np.int64),
            np.array([value for _, _, value in rows], np.float64),
        )  # fmt: skip
    return {subject: past for subject, past in found.items() if len(past)}
