"""The process that trains: series on standard input as JSON, a line for each trained model on standard output.

Its parent owns its time and its memory (`optimizer.highs_process`); what is slow to import is imported here alone.
Request: {at, series: [{name, kind, unit, zone, step_s, starts_s, known_s, values}]}. Lines: {name, model, body, score,
seconds} or {name, refused: why}.
"""

import json
import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from optimizer.child import command, die_with_parent, keep_stdout_for_frames
from scenarios.forecast.training import forecaster_of, kept, score
from scenarios.timed import Timed


def program() -> tuple[str, ...]:
    """Return the command that starts it."""
    return command("service.forecast_child")


def main(parent: int) -> None:
    """Train what standard input asks for."""
    die_with_parent(parent)
    out = keep_stdout_for_frames()
    asked = json.load(sys.stdin)
    at = datetime.fromisoformat(asked["at"])
    for one in asked["series"]:
        try:
            line = trained(one, at)
        except ValueError as error:
            line = {"refused": str(error)[:2000]}
        out.write(json.dumps({"name": one["name"], **line}).encode() + b"\n")
        out.flush()


def trained(asked: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return the model of a series, its score and what training took.

    Raises:
        ValueError: history is too short, or not what the model of this kind can learn from.
    """
    begun_s = time.process_time()
    forecaster = forecaster_of(asked["kind"])
    if forecaster is None:
        raise ValueError(f"{asked['name']}: there is no model for series of kind {asked['kind']}")
    past = Timed(
        asked["name"], asked["unit"], asked["zone"], asked["step_s"],
        np.array(asked["starts_s"], np.int64), np.array(asked["known_s"], np.int64), np.array(asked["values"], np.float64),
    )  # fmt: skip
    body = kept(forecaster, past, at)
    known = score(forecaster, past, at)
    return {
        "model": forecaster.name, "body": body, "score": None if known is None else asdict(known),
        "seconds": round(time.process_time() - begun_s, 3),
    }  # fmt: skip
