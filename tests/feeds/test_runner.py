"""Feeds are asked when they are due, one poll at a time, by the leader alone; silence is an alarm; the API and people see it."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from feed_source import Reply, mempool, until, weather

from models.reading import parse, parse_yaml
from service.feeds.feeds_file import FeedsFile
from service.feeds.overdue import Overdue

PATH = "/v1/forecast"


def sky(url, name="source", **more):
    place = {"subject": name, "latitude": 29.76, "longitude": -95.37}
    return {"kind": "weather", "name": name, "url": f"{url}{PATH}", "private": True, "total_s": 10, "jitter_s": 0} | place | more


def idle(runner):
    return lambda: all(known.running is None for known in runner._known.values())


def look(served):
    served.runner.look()
    until(idle(served.runner))


def test_a_feed_is_asked_when_it_is_due_and_not_before(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url, every_s=600))
    asked = []
    for minutes in (0, 1, 8, 2, 5, 5, 60):
        served.now.ahead(minutes=minutes)
        look(served)
        asked.append(len(source.asked))
    assert asked == [1, 1, 1, 2, 2, 3, 4]


def test_a_clock_that_is_set_back_silences_no_feed(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url, every_s=600))
    asked = []
    for minutes in (0, -120, 1, 10):
        served.now.ahead(minutes=minutes)
        look(served)
        asked.append(len(source.asked))
    assert asked == [1, 2, 2, 3]


def test_feeds_do_not_all_ask_at_once_and_always_in_the_same_order(served, replay):
    _, url = replay
    due = []
    for _ in range(2):
        served.feed(*(sky(url, f"f{n}", jitter_s=600) for n in range(8)))
        due.append([status.next_poll_at for status in served.runner.status()])
    assert due[0] == due[1]
    assert len(set(due[0])) == 8
    assert max(due[0]) - served.now() <= timedelta(seconds=600)


def test_a_feed_that_hangs_holds_up_no_other_and_is_not_asked_twice(served, replay):
    source, url = replay
    source.replies = {PATH: Reply(wait_s=30), "/quick": weather(served.now())}
    served.feed(sky(url, every_s=5), sky(url, "quick", every_s=5) | {"url": f"{url}/quick"})
    for _ in range(3):
        served.runner.look()
        until(lambda: served.runner._known["quick"].running is None)
        served.now.ahead(seconds=5)
    assert [path.partition("?")[0] for _, path, _, _ in source.asked].count(PATH) == 1
    quick = next(status for status in served.runner.status() if status.name == "quick")
    assert quick.last_success_at is not None
    source.ending.set()
    until(idle(served.runner))


def test_only_the_leader_asks(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url))
    served.runner._leads = lambda: False
    look(served)
    assert source.asked == []


def test_what_comes_after_the_end_is_not_kept(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url))
    served.runner.stop()
    assert served.poll().state == "running"
    assert source.asked == []
    assert served.store.series.declarations() == []


def test_a_feed_that_falls_silent_is_an_alarm_once_until_it_tells_again(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url, every_s=600, stale_after_s=3_600))
    look(served)
    assert served.raised("feed_stale") == []
    source.replies = {PATH: Reply({}, 500)}
    for _ in range(8):
        served.now.ahead(minutes=20)
        look(served)
    (alarm,) = served.raised("feed_stale")
    assert alarm["feed"] == "source"
    assert "answers 500" in alarm["words"]
    assert [status.stale for status in served.runner.status()] == [True]
    source.replies = {PATH: weather(served.now())}
    served.poll()
    look(served)
    assert [status.stale for status in served.runner.status()] == [False]


def test_a_source_that_repeats_itself_becomes_stale(served, replay):
    """The price bears its time: told again and again it is not new, and its age is what counts."""
    source, url = replay
    source.replies = mempool(served.now())
    served.feed({"kind": "mempool", "name": "source", "url": url, "private": True, "every_s": 600, "jitter_s": 0})
    for _ in range(14):
        look(served)
        served.now.ahead(minutes=20)
    look(served)
    (status,) = served.runner.status()
    assert status.stale
    assert "stands still" in status.last_error
    assert len(served.raised("feed_stale")) == 1


def test_any_series_that_is_overdue_is_an_alarm_once(served, replay):
    source, url = replay
    source.replies = {PATH: weather(served.now())}
    served.feed(sky(url, stale_after_s=3_600))
    served.poll()
    watch = Overdue(served.store, served.alarms)
    watch.look(served.now())
    assert served.raised("series_stale") == []
    served.now.ahead(hours=2)
    watch.look(served.now())
    watch.look(served.now())
    (alarm,) = served.raised("series_stale")
    assert alarm["words"].startswith("stale: series ambient.source: newest is of 2026-11-22T08:05:00Z, 7200 s old")
    served.poll()
    watch.look(served.now())
    served.now.ahead(hours=2)
    watch.look(served.now())
    assert len(served.raised("series_stale")) == 2


@pytest.fixture
def open_api(served, replay):
    """The API of a service with one feed."""
    from dataclasses import replace

    from service.app import create_app

    source, url = replay
    source.replies = {PATH: weather(served.now())}
    runner = served.feed(sky(url))
    return source, create_app(replace(served.services, feeds=runner)).test_client()


def test_the_api_asks_and_shows(served, open_api):
    source, client = open_api
    (before,) = client.get("/v1/feeds", headers=served.as_("operator")).json["items"]
    assert (before["last_success_at"], before["series"], before["stale"]) == (None, ["ambient.source"], False)
    polled = client.post("/v1/feeds/source/polls", headers=served.as_("feed")).json
    assert (polled["state"], polled["error"]) == ("done", None)
    assert polled["receipts"][0]["name"] == "ambient.source"
    (after,) = client.get("/v1/feeds", headers=served.as_("operator")).json["items"]
    assert after["last_success_at"] == "2026-11-22T08:05:00Z" == after["newest_known_at"]
    source.replies = {PATH: Reply({}, 500)}
    failed = client.post("/v1/feeds/source/polls", headers=served.as_("operator")).json
    assert failed["state"] == "failed"
    assert client.post("/v1/feeds/nobody/polls", headers=served.as_("feed")).status_code == 404
    assert client.post("/v1/feeds/source/polls", headers=served.as_("planner")).status_code == 403


def test_without_feeds_the_list_is_empty(served):
    assert served.client.get("/v1/feeds", headers=served.as_("planner")).json == {"items": []}
    assert served.client.post("/v1/feeds/source/polls", headers=served.as_("feed")).status_code == 404


def test_a_service_reads_its_file_of_feeds_and_refuses_to_start_with_a_faulty_one(tmp_path, replay):
    import yaml

    from service.config import Settings, UnsafeSettingsError
    from service.wiring import assemble

    source, url = replay
    file = tmp_path / "feeds.yaml"
    settings = Settings(data_dir=str(tmp_path), port=0, feeds_file=str(file))
    for content, words in ((None, "No such file"), ("feeds: [", "not YAML"), ("feeds: [{kind: weather}]", "latitude")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(UnsafeSettingsError, match=words):
            assemble(settings, load_reference=False)
    file.write_text(yaml.safe_dump({"feeds": [sky(url) | {"licence": "CC BY 4.0"}]}))
    service = assemble(settings, load_reference=False)
    source.replies = {PATH: weather(service.services.now())}
    assert service.leadership.lead()
    service.feeds.look()
    until(lambda: service.feeds.status()[0].last_success_at is not None)
    assert service.store.series.declaration("ambient.source") is not None
    service.feeds.stop()
    service.leadership.resign()
    service.store.close()


def test_the_example_in_the_readme_is_a_file_of_feeds():
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    written = re.search(r"```yaml\n(feeds:.*?)```", text, re.DOTALL)[1]
    kinds = {feed.kind for feed in parse(FeedsFile, parse_yaml(written.encode())).feeds}
    assert kinds == {"drop_folder", "bitcoin_node", "mempool", "weather", "iso_prices"}
