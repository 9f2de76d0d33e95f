"""What a monitor scrapes: well-formed, true, counted once, and for operators alone."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from served import SITES, Served

from service.alarms import Alarms
from service.store.series_records import SeriesDeclaration, SeriesPoint

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = rf'({NAME})="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")


def scraped(served: Served) -> dict[str, dict[str, float]]:
    """The samples by name and the value of their labels; every line must be as the format wants it."""
    answer = served.client.get("/metrics", headers=served.as_("operator"))
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    found: dict[str, dict[str, float]] = {}
    announced = ""
    for line in answer.text.splitlines():
        if line.startswith("# HELP "):
            announced = line.split()[2]
            assert announced not in found, "a measure stands in one place"
            found[announced] = {}
        elif line.startswith("# TYPE "):
            assert line.split()[2:] in ([announced, "gauge"], [announced, "counter"])
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] == announced
            labels = ",".join(label[1] for label in re.findall(LABEL, sample[2] or ""))
            assert labels not in found[announced]
            found[announced][labels] = float(sample[sample.lastindex])
    assert all(found.values())
    return found


def test_the_published_plan_is_told(served: Served):
    served.now.ahead(minutes=7)
    found = scraped(served)
    assert found["wattsplit_publication_age_seconds"] == {"": 420}
    assert found["wattsplit_sites"] == {served.plan.basis: len(SITES)}
    assert found["wattsplit_plan_profit_usd"][""] == pytest.approx(served.plan.profit_usd)
    assert found["wattsplit_fresh"] == {"": 1}
    assert "wattsplit_plan_gap_ratio" not in found, "a plan by rule claims no gap"
    served.planning.fresh = False
    assert scraped(served)["wattsplit_fresh"] == {"": 0}


def test_jobs_are_counted_by_kind_and_state(served: Served):
    for _ in range(2):
        served.client.post("/v1/plans", json={}, headers=served.as_("operator"))
    job = served.client.post("/v1/backtests", json={"period": "storm"}, headers=served.as_("planner")).json["job_id"]
    served.client.post(f"/v1/jobs/{job}/cancel", json={}, headers=served.as_("planner"))
    assert scraped(served)["wattsplit_jobs"] == {"plan,queued": 2, "backtest,cancelled": 1}


def test_alarms_count_up_and_none_twice(served: Served):
    alarms = Alarms(served.store, served.now)
    assert "wattsplit_alarms_total" not in scraped(served)
    for code in ("fallback", "fallback", "feed_stale"):
        alarms.raise_(code, "words")
    alarms.note("missed", "slot")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: scraped(served), range(8)))
    assert scraped(served)["wattsplit_alarms_total"] == {"fallback": 2, "feed_stale": 1}
    alarms.raise_("fallback", "words")
    assert scraped(served)["wattsplit_alarms_total"]["fallback"] == 3


def test_the_age_of_inputs_is_told(served: Served):
    declared = SeriesDeclaration(
        name="hub", kind="price", subject="hub", unit="USD/MWh", zone="UTC", resolution_s=3600, source="test", curve_type="A01",
        late_after_s=7200,
    )  # fmt: skip
    served.store.series.declare(declared, at=served.now())
    served.store.series.add("hub", [SeriesPoint(start=served.now().replace(minute=0), value=30.0, known_at=served.now())])
    served.now.ahead(hours=3)
    found = scraped(served)
    assert found["wattsplit_series_age_seconds"]["hub"] == 3 * 3600
    assert found["wattsplit_series_late_after_seconds"]["hub"] == 7200


def test_a_service_that_has_published_nothing_still_answers(tmp_path):
    served = Served(tmp_path, publish=False)
    assert "wattsplit_sites" not in scraped(served)
    assert "wattsplit_fresh" in scraped(served)
    served.close()


def test_only_operators_may_look(served: Served):
    for role in ("controller", "feed", "planner"):
        assert served.client.get("/metrics", headers=served.as_(role)).status_code == 403
    assert served.client.get("/metrics", environ_overrides={"REMOTE_ADDR": "203.0.113.7"}).status_code == 401
