"""Work that sites measured, over HTTP: what is refused and in which words, what is flagged, and that the next plan knows it."""

from datetime import timedelta

import pytest
from served import START, Served

from models.base import iso
from models.service_level import ServiceLevel
from service.known_state import known_state

MIN = timedelta(minutes=1)


def report(served: Served, done, at=START + 4 * MIN, site: str = "pecos", role: str = "controller"):
    point = {"at": iso(at), "draw_w": 2_000_000, "done": done}
    return served.client.post(f"/v1/sites/{site}/telemetry", json={"points": [point]}, headers=served.as_(role))


def done(minutes: float = 4, **work: int):
    return {"since": iso(START + 4 * MIN - minutes * MIN), "work": work}


def test_measured_work_is_kept_told_again_and_known_to_the_next_plan(served: Served):
    assert report(served, done(chat=120_000)).json == {"stored": 1, "known": 0, "flagged": []}
    assert report(served, done(chat=120_000)).json == {"stored": 0, "known": 1, "flagged": []}
    assert report(served, done(chat=120_001)).status_code == 409
    (item,) = served.client.get("/v1/sites/pecos/telemetry", headers=served.as_("controller")).json["items"]
    assert item["point"]["done"] == {"since": iso(START), "work": {"chat": 120_000}}
    level = ServiceLevel(served_ppm=990_000, period="day", zone="UTC", shortfall_usd_per_mwork=1.0)
    (chat,) = (w.model_copy(update={"service_level": level}) for w in served.fleet.workloads)
    fleet = served.fleet.model_copy(update={"workloads": (chat,)})
    (counted,) = known_state(served.store, fleet, now=served.now(), at=START + 60 * MIN).service["chat"].values()
    assert counted.measured_work == 120_000
    assert counted.measured_work < counted.served_work <= counted.demanded_work


def of_done(*parts: str) -> str:
    return "/".join(("/points/0/done", *parts))


WRONG = {
    "no such workload": ({"work": {"chess": 1}}, of_done("work", "chess"), "unknown_name", "no workload chess"),
    "less than nothing": ({"work": {"chat": -1}}, of_done("work", "chat"), "greater_than_equal", "0"),
    "no work": ({"work": {}}, of_done("work"), "too_short", "1"),
    "half a token": ({"work": {"chat": 1.5}}, of_done("work", "chat"), "int_type", "valid integer"),
    "in no time": ({"since": iso(START + 4 * MIN)}, of_done("since"), "outside_window", "expected before"),
    "over days": ({"since": iso(START - timedelta(days=2))}, of_done("since"), "outside_window", "at most 24 h before"),
    "since when is not told": ({"since": None}, of_done("since"), "invalid_value", "ISO 8601"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_work_that_cannot_be_is_refused_in_words(served: Served, fault):
    change, pointer, code, words = WRONG[fault]
    answer = report(served, done(chat=120_000) | change)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    error = answer.json["errors"][0]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert words in error["detail"]
    assert served.store.telemetry.count("pecos") == 0


def test_more_work_than_all_nodes_can_do_is_kept_flagged_and_not_used(served: Served):
    pool = served.fleet.site_by_name["pecos"].gpu_pools[0]
    chat = served.fleet.workload_by_name["chat"]
    most = pool.nodes * chat.work_per_node_h(pool) * 4 // 60
    assert report(served, done(chat=most)).json["flagged"] == []
    at = START + 5 * MIN
    answer = report(served, {"since": iso(START + MIN), "work": {"chat": 1_000 * most}}, at)
    assert answer.json["flagged"] == [{"at": iso(at), "flags": ["above_nameplate"]}]
    assert served.store.telemetry.newest("pecos").point.at == START + 4 * MIN
