"""The same request with the same key happens once, whoever repeats it, however often, and after a restart too."""

import contextlib
import threading
from datetime import timedelta
from pathlib import Path

import httpx
from served import Served

from service.app import create_app
from service.ports import Services
from service.store import open_store

ORDER = {"site": "pecos", "limit_w": 1_000_000, "reason": "called by phone"}


def post(served: Served, body: dict[str, object], key: str, role: str = "operator", path: str = "/v1/events"):
    return served.client.post(path, json=body, headers={**served.as_(role), "Idempotency-Key": key})


def events(served: Served) -> int:
    return len(served.store.events.page().items)


def test_a_repeat_gets_the_first_answer(served: Served):
    first = post(served, ORDER, "a")
    served.now.ahead(hours=3)
    again = post(served, ORDER, "a")
    assert first.status_code == again.status_code == 201
    assert again.json == first.json
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert events(served) == len(served.planning.events) == 1


def test_what_has_happened_is_told_so_though_its_answer_cannot_be_kept(served: Served):
    file = Path(served.url.removeprefix("sqlite:///"))
    header = file.read_bytes()[:100]

    def overwrite(with_: bytes) -> None:
        with file.open("r+b") as stream:
            stream.write(with_)

    served.planning.event_changed = lambda event: overwrite(bytes(100))
    first = post(served, ORDER, "a")
    overwrite(header)
    assert first.status_code == 201
    assert post(served, ORDER, "a").json["code"] == "idempotency_running"
    served.now.ahead(minutes=3)
    served.planning.event_changed = lambda event: None
    assert post(served, ORDER, "a").json["event_id"] == first.json["event_id"]
    assert events(served) == 1


def test_another_request_with_the_key_is_refused(served: Served):
    post(served, ORDER, "a")
    answer = post(served, {**ORDER, "limit_w": 2_000_000}, "a")
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert post(served, {}, "a", path="/v1/plans").json["code"] == "idempotency_key_reused"
    assert events(served) == 1


def test_keys_are_each_principals_own(served: Served):
    post(served, {}, "a", path="/v1/plans", role="operator")
    answer = post(served, {}, "a", path="/v1/plans", role="planner")
    assert answer.status_code == 202
    assert "Idempotency-Replayed" not in answer.headers
    assert len(served.store.jobs.page().items) == 2


def test_a_refused_request_may_be_tried_again_with_its_key(served: Served):
    assert post(served, {"site": "atlantis", "limit_w": 0}, "a").status_code == 422
    assert post(served, ORDER, "a").status_code == 201


def test_a_running_request_is_a_conflict_and_a_dead_one_is_not(served: Served):
    path, body = "/v1/events", ORDER
    inside, go_on = threading.Event(), threading.Event()
    real = served.store.events.add

    def slow(*args, **kwargs):
        inside.set()
        go_on.wait(10)
        return real(*args, **kwargs)

    served.store.events.add = slow
    answers = []
    runs = threading.Thread(target=lambda: answers.append(post(served, body, "a", path=path)))
    runs.start()
    inside.wait(10)
    conflict = post(served, body, "a", path=path)
    assert (conflict.status_code, conflict.json["code"]) == (409, "idempotency_running")
    assert conflict.headers["Retry-After"] == "1"
    go_on.set()
    runs.join()
    assert answers[0].status_code == 201


def test_a_repeat_after_a_crash_finds_what_the_first_made(served: Served):
    """The process dies after the event is kept and before its answer is: the repeat makes no second one."""

    def dies(*args):
        raise KeyboardInterrupt

    finish, release = served.store.idempotency.finish, served.store.idempotency.release
    served.store.idempotency.finish = dies
    served.store.idempotency.release = lambda *args: None
    with contextlib.suppress(KeyboardInterrupt):
        post(served, ORDER, "a")
    served.store.idempotency.finish, served.store.idempotency.release = finish, release
    assert post(served, ORDER, "a").status_code == 409
    served.now.ahead(minutes=3)
    assert post(served, ORDER, "a").status_code == 201
    assert events(served) == 1


def test_a_repeat_after_a_restart_gets_the_first_answer(served: Served):
    first = post(served, ORDER, "a")
    served.store.close()
    store = open_store(served.url)
    old = served.services
    app = create_app(
        Services(
            settings=old.settings,
            store=store,
            keyring=type(old.keyring)(store, served.now),
            now=served.now,
            planning=old.planning,
        )
    )
    again = app.test_client().post("/v1/events", json=ORDER, headers={**served.as_("operator"), "Idempotency-Key": "a"})
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    store.close()


def test_keys_are_kept_for_two_days(served: Served):
    post(served, {}, "a", path="/v1/plans")
    served.now.at += timedelta(hours=47)
    assert "Idempotency-Replayed" in post(served, {}, "a", path="/v1/plans").headers
    served.now.at += timedelta(hours=2)
    assert "Idempotency-Replayed" not in post(served, {}, "a", path="/v1/plans").headers


def test_a_key_that_is_no_key_is_refused(served: Served):
    for key in ("", "x" * 256, "tab\tkey"):
        answer = post(served, ORDER, key)
        assert (answer.status_code, answer.json["code"]) == (400, "malformed_header"), key


def test_fifty_at_once_make_one(tmp_path: Path):
    served = Served(tmp_path)
    answers: list[httpx.Response] = []
    with served.listening() as address:
        begin = threading.Barrier(50)
        words = {**served.as_("operator"), "Idempotency-Key": "same"}

        def send() -> None:
            with httpx.Client(trust_env=False, timeout=60) as http:
                begin.wait()
                answers.append(http.post(f"{address}/v1/plans", json={}, headers=words))

        senders = [threading.Thread(target=send) for _ in range(50)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(90)
    assert len(answers) == 50
    assert {answer.status_code for answer in answers} <= {202, 409}
    bodies = {answer.text for answer in answers if answer.status_code == 202}
    assert len(bodies) == 1
    assert len(served.store.jobs.page().items) == 1
    served.close()
