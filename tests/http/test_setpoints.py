"""A site gets the document that holds, only its own, and also when all else is down."""

import resource
import signal
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from served import SITES, START, Served

from service.documents import digest_of

PATH = "/v1/sites/pecos/setpoints"


def test_a_controller_gets_the_published_document(served: Served):
    answer = served.client.get(PATH, headers=served.as_("controller"))
    assert answer.status_code == 200
    document = answer.json
    assert document["site"] == "pecos"
    assert document["version"] == 1
    assert document["basis"] == "rule"
    assert document["audit_passed"] is True
    kept = served.store.publications.setpoint("pecos")
    assert document["digest"] == kept.digest == digest_of(kept)
    assert answer.headers["Wattsplit-Basis"] == "rule"
    assert answer.headers["Wattsplit-Stale"] == "false"
    assert answer.headers["Wattsplit-Age-S"] == "0"


def test_the_same_document_is_answered_304(served: Served):
    tag = served.client.get(PATH, headers=served.as_("controller")).headers["ETag"]
    again = served.client.get(PATH, headers={**served.as_("controller"), "If-None-Match": tag})
    assert again.status_code == 304
    assert again.data == b""
    served.publish("event-1")
    news = served.client.get(PATH, headers={**served.as_("controller"), "If-None-Match": tag})
    assert news.status_code == 200
    assert news.json["version"] == 2


def test_a_tag_of_another_principal_is_no_304(served: Served):
    tag = served.client.get(PATH, headers=served.as_("controller")).headers["ETag"]
    other = {"Authorization": f"Bearer {served.key('controller')}", "If-None-Match": tag}
    assert served.client.get(PATH, headers=other).status_code == 200


def test_a_stale_document_says_so_and_keeps_its_validity(served: Served):
    before = served.client.get(PATH, headers=served.as_("controller")).json
    served.now.ahead(hours=1, minutes=30)
    answer = served.client.get(PATH, headers=served.as_("controller"))
    assert answer.headers["Wattsplit-Stale"] == "true"
    assert answer.headers["Wattsplit-Age-S"] == str(90 * 60)
    assert answer.json == before


def test_past_its_validity_a_document_is_not_served(served: Served):
    valid_until = served.store.publications.setpoint("pecos").valid_until
    served.now.at = valid_until
    answer = served.client.get(PATH, headers=served.as_("controller"))
    assert answer.status_code == 503
    assert answer.json["code"] == "no_setpoint"
    assert answer.headers["Retry-After"]


def test_past_its_validity_the_ladder_answers(served: Served):
    kept = served.store.publications.setpoint("pecos")
    safe = kept.model_copy(update={"basis": "safe", "valid_until": kept.valid_until + timedelta(days=1)})
    served.ladder.give = lambda site, now: safe
    served.now.at = kept.valid_until + timedelta(hours=1)
    answer = served.client.get(PATH, headers=served.as_("controller"))
    assert answer.status_code == 200
    assert answer.json["basis"] == answer.headers["Wattsplit-Basis"] == "safe"


def test_a_broken_ladder_is_no_server_error(served: Served):
    def broken(site, now):
        raise RuntimeError("the planner is gone")

    served.ladder.give = broken
    served.now.ahead(days=9)
    answer = served.client.get(PATH, headers=served.as_("controller"))
    assert (answer.status_code, answer.json["code"]) == (503, "no_setpoint")
    assert "planner" not in answer.text


def test_a_site_is_answered_while_a_long_transaction_runs(served: Served):
    inside, go_on = threading.Event(), threading.Event()

    def long_transaction() -> None:
        with served.store.transaction():
            served.store.audit_log.append("test", "long", "transaction", at=served.now())
            inside.set()
            go_on.wait(30)

    writer = threading.Thread(target=long_transaction)
    writer.start()
    inside.wait(10)
    served.now.ahead(minutes=2)
    begun = time.monotonic()
    answer = served.client.get(PATH, headers=served.as_("controller"))
    took_s = time.monotonic() - begun
    go_on.set()
    writer.join()
    assert answer.status_code == 200
    assert took_s < 5


@contextmanager
def full_disk():
    """Let no file of this process grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_on_a_full_disk_sites_are_answered_and_nothing_is_confirmed_that_is_not_kept(served: Served):
    point = {"at": START.isoformat(), "draw_w": 1_000_000}
    served.now.ahead(minutes=2)
    with full_disk():
        read = served.client.get(PATH, headers=served.as_("controller"))
        posted = served.client.post("/v1/sites/pecos/telemetry", json={"points": [point]}, headers=served.as_("controller"))
    assert read.status_code == 200
    assert (posted.status_code, posted.json["code"]) == (503, "store_unavailable")
    assert posted.headers["Retry-After"]
    assert served.store.telemetry.count("pecos") == 0
    again = served.client.post("/v1/sites/pecos/telemetry", json={"points": [point]}, headers=served.as_("controller"))
    assert again.json["stored"] == 1


def test_every_version_stays_as_it_was(served: Served):
    first = served.client.get(f"{PATH}/1", headers=served.as_("controller"))
    served.now.ahead(minutes=20)
    served.publish("event-1")
    again = served.client.get(f"{PATH}/1", headers=served.as_("controller"))
    assert again.json == first.json
    for unknown in ("3", "0", "-1", "1.0", "x", "9" * 40):
        assert served.client.get(f"{PATH}/{unknown}", headers=served.as_("controller")).status_code == 404


def test_a_long_poll_returns_as_soon_as_there_is_news(served: Served):
    with served.listening() as address, httpx.Client(base_url=address, headers=served.as_("controller"), trust_env=False) as http:
        tag = http.get(PATH).headers["ETag"]
        news = threading.Timer(0.5, served.publish, ["event-1"])
        news.start()
        begun = time.monotonic()
        answer = http.get(PATH, params={"wait": 20}, headers={"If-None-Match": tag}, timeout=30)
        took_s = time.monotonic() - begun
        news.join()
    assert answer.status_code == 200
    assert answer.json()["version"] == 2
    assert 0.3 < took_s < 10


def test_a_long_poll_without_news_ends_in_304(served: Served):
    tag = served.client.get(PATH, headers=served.as_("controller")).headers["ETag"]
    answer = served.client.get(PATH, query_string={"wait": 1}, headers={**served.as_("controller"), "If-None-Match": tag})
    assert answer.status_code == 304


def test_long_polls_leave_threads_for_others(tmp_path):
    served = Served(tmp_path, threads=6, long_polls_max=3)
    with served.listening() as address:
        tag = httpx.get(address + PATH, headers=served.as_("controller"), trust_env=False).headers["ETag"]

        def poll():
            words = {**served.as_("controller"), "If-None-Match": tag}
            httpx.get(address + PATH, params={"wait": 5}, headers=words, timeout=30, trust_env=False)

        polls = [threading.Thread(target=poll) for _ in range(5)]
        for each in polls:
            each.start()
        time.sleep(0.5)
        begun = time.monotonic()
        assert httpx.get(f"{address}/v1/health/live", trust_env=False).status_code == 200
        assert time.monotonic() - begun < 3
        served.publish("event-1")
        for each in polls:
            each.join(20)
    served.close()


@pytest.mark.parametrize("site", SITES)
def test_operators_see_every_site(served: Served, site):
    assert served.client.get(f"/v1/sites/{site}/setpoints", headers=served.as_("operator")).json["site"] == site


def test_the_clock_of_the_test_is_in_the_plan(served: Served):
    assert served.plan.grid.start == START
