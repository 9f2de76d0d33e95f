"""Whoever tries keys is slowed down before they are looked at; whoever has one is not locked out by him."""

from pathlib import Path

import pytest
from served import Served

from service.http.throttle import MOST_ADDRESSES, WINDOW_S, Throttle

WRONG = {"Authorization": "Bearer ws_" + "0" * 32 + "." + "a" * 43}


@pytest.fixture
def served(tmp_path: Path):
    service = Served(tmp_path, failures_per_minute=3)
    yield service
    service.close()


def ask(served: Served, headers, address: str = "127.0.0.1"):
    return served.client.get("/v1/audit-log", headers=headers, environ_overrides={"REMOTE_ADDR": address})


def test_after_too_many_wrong_keys_an_address_waits_before_any_is_looked_at(served: Served):
    assert [ask(served, WRONG).status_code for _ in range(4)] == [401, 401, 401, 429]
    answer = ask(served, WRONG)
    assert answer.json["code"] == "too_many_failures"
    assert 1 <= int(answer.headers["Retry-After"]) <= WINDOW_S + 1
    assert ask(served, served.as_("operator")).status_code == 429, "a key that was never seen is not looked at either"
    assert ask(served, WRONG, "203.0.113.9").status_code == 401, "another address is not slowed down"
    assert served.client.get("/v1/fleet").status_code == 200, "nor is who shows no key"


def test_a_key_that_was_accepted_before_is_not_locked_out_by_a_guesser_at_its_address(served: Served):
    assert ask(served, served.as_("operator")).status_code == 200
    assert [ask(served, WRONG).status_code for _ in range(5)][-1] == 429
    assert ask(served, served.as_("operator")).status_code == 200
    served.store.keys.revoke(served.tokens["operator"][3:35], by="test", at=served.now())
    assert ask(served, served.as_("operator")).status_code == 401, "it goes through to be looked at, no more"


def test_sign_in_links_are_guessed_no_faster_than_keys(served: Served):
    statuses = [served.client.get(f"/sign-in?token=guess-{n}").status_code for n in range(4)]
    assert statuses == [404, 404, 404, 429]
    assert ask(served, WRONG).status_code == 429


def test_behind_a_proxy_addresses_are_told_apart_by_what_the_proxy_says_last(tmp_path: Path):
    served = Served(tmp_path, failures_per_minute=2, behind_tls_proxy=True, public_hosts=("plan.example.org",))
    guesser = {**WRONG, "Host": "plan.example.org", "X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
    assert [ask(served, guesser).status_code for _ in range(3)] == [401, 401, 429]
    forged = {**guesser, "X-Forwarded-For": "10.0.0.1, 203.0.113.7"}
    assert ask(served, forged).status_code == 429, "what the caller wrote before it counts for nothing"
    assert ask(served, {**guesser, "X-Forwarded-For": "203.0.113.8"}).status_code == 401
    served.close()


def test_failures_are_forgotten_after_a_minute_and_never_pile_up():
    now = [0.0]
    throttle = Throttle(2, lambda: now[0])
    for at in (0.0, 30.0):
        now[0] = at
        throttle.failed("a")
    assert throttle.wait_s("a", "x") == 31
    now[0] = 60.0
    assert throttle.wait_s("a", "x") == 0, "one of the two is a minute old"
    for n in range(MOST_ADDRESSES + 5):
        throttle.failed(f"address-{n}")
    assert len(throttle._failures) == MOST_ADDRESSES
