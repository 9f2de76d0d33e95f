"""Feeds over the web tell what the source said, in declared series, and refuse what is not what it should be."""

import base64
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from feed_source import Reply, mempool, node, weather
from served import START

from models.base import iso
from models.market import NetworkState
from models.reading import parse
from service.feeds.feeds_file import FeedsFile
from service.feeds.told import FeedError
from service.store.series_records import SeriesDeclaration

HOUR = timedelta(hours=1)


def network(url, **more):
    return {"kind": "mempool", "name": "source", "url": url, "private": True, "total_s": 5} | more


def sky(url, **more):
    place = {"subject": "inland", "latitude": 29.76, "longitude": -95.37}
    return {"kind": "weather", "name": "source", "url": f"{url}/v1/forecast", "private": True, "total_s": 5} | place | more


def own_node(url, **more):
    words = {"user_env": "NODE_USER", "password_env": "NODE_PASSWORD", "fee_blocks": 7}
    return {"kind": "bitcoin_node", "name": "source", "url": url, "private": True, "total_s": 5} | words | more


def test_the_network_by_a_public_api(served, replay):
    source, url = replay
    source.replies = mempool(served.now())
    served.feed(network(url))
    polled = served.poll()
    assert (polled.state, polled.error) == ("done", None)
    assert served.values("btc.usd") == [87_000.0] * 3
    assert served.values("btc.height") == [925_001.0]
    assert served.values("btc.fees") == [pytest.approx(0.026)] * 3
    expected = NetworkState(difficulty=152_271_658_554_077.5, btc_price_usd=87_000, subsidy_btc=3.125, fees_btc=0.026)
    assert served.values("hashprice") == [pytest.approx(expected.hashprice_usd_per_ph_day, rel=1e-9)] * 3
    declared = served.store.series.declaration("hashprice")
    assert (declared.difficulty, declared.licence, declared.unit) == ("constant", "written for the test", "USD/PH/day")
    (point, *_) = served.store.series.values("btc.usd", START, START + HOUR)
    assert iso(point.known_at) == iso(served.now() - timedelta(minutes=4)), "the price was told when the source says so"


def test_where_a_series_is_from_is_kept(served, replay):
    source, url = replay
    source.replies = mempool(served.now())
    served.feed(network(url))
    served.poll()
    entry = next(e for e in served.store.audit_log.page(limit=50).items if e.action == "series.add")
    assert entry.detail["feed"] == "source"
    assert entry.detail["licence"] == "written for the test"
    assert entry.detail["asked"][0]["from"] == f"{url}/api/v1/prices"
    assert len(entry.detail["asked"][0]["sha256"]) == 64


def test_asking_again_keeps_nothing_twice(served, replay):
    source, url = replay
    source.replies = mempool(served.now())
    served.feed(network(url))
    assert sum(r.stored for r in served.poll().receipts) == 13
    served.now.ahead(minutes=5)
    assert sum(r.stored for r in served.poll().receipts) == 0
    source.replies |= {"/api/v1/prices": mempool(served.now(), usd=88_000)["/api/v1/prices"]}
    assert sorted(r.name for r in served.poll().receipts if r.stored) == ["btc.usd", "hashprice"]


def test_what_is_confirmed_for_long_is_known_anew(served, replay):
    source, url = replay
    source.replies = {"/v1/forecast": weather(served.now())}
    served.feed(sky(url))
    assert served.poll().receipts[0].stored > 24
    served.now.ahead(minutes=30)
    assert served.poll().receipts[0].stored == 0
    served.now.ahead(minutes=50)
    assert served.poll().receipts[0].stored > 24, "else it would be stale by and by, though its source says it still"


def test_the_weather_from_now_on(served, replay):
    source, url = replay
    source.replies = {"/v1/forecast": weather(served.now())}
    served.feed(sky(url, key_env="METEO_KEY"))
    assert served.poll().error is None
    points = served.store.series.values("ambient.inland", START - 24 * HOUR, START + 96 * HOUR)
    assert points[0].start == START
    assert len(points) == 64
    method, path, _, _ = source.asked[0]
    assert method == "GET"
    assert "apikey=k3y-of-ours" in path
    assert "timezone=UTC" in path
    log = str([e.detail for e in served.store.audit_log.page(limit=50).items])
    assert "k3y-of-ours" not in log


def test_the_network_by_a_node_of_ones_own(served, replay):
    source, url = replay
    source.replies = {"": node(served.now()), "/": node(served.now())}
    served.feed(own_node(url))
    assert served.poll().error is None
    assert served.values("btc.height") == [925_000.0]
    assert served.values("btc.fees") == [pytest.approx(0.0103)] * 3
    assert [len(sent) for _, _, _, sent in source.asked] == [1, 7]
    assert source.asked[0][2]["Authorization"].startswith("Basic ")


WRONG = {
    "a naive local time": (sky, lambda now: {"/v1/forecast": weather(now, utc_offset_seconds=-21_600)}, "not UTC"),
    "Fahrenheit": (sky, lambda now: {"/v1/forecast": weather(now, hourly_units={"temperature_2m": "°F"})}, "expected °C"),
    "a null": (
        sky, lambda now: {"/v1/forecast": weather(now, hourly={"time": ["2026-11-22T08:00"], "temperature_2m": [None]})},
        "expected a number",
    ),
    "fewer values than times": (
        sky, lambda now: {"/v1/forecast": weather(now, hourly={"time": ["2026-11-22T08:00"], "temperature_2m": []})},
        "as many temperatures as times",
    ),
    "yesterday's forecast again": (
        sky, lambda now: {"/v1/forecast": weather(now - timedelta(days=4))}, "does not tell of the present hour",
    ),
    "a list for an object": (sky, lambda now: {"/v1/forecast": Reply([1, 2])}, "no utc_offset_seconds"),
    "a temperature of 400": (
        sky, lambda now: {"/v1/forecast": weather(now, hourly={"time": ["2026-11-22T08:00"], "temperature_2m": [400]})}, "400",
    ),
    "a price of another day": (
        network, lambda now: mempool(now) | {"/api/v1/prices": Reply({"time": now.timestamp() - 40_000, "USD": 9e4})},
        "the source stands still",
    ),
    "a price of tomorrow": (
        network, lambda now: mempool(now) | {"/api/v1/prices": Reply({"time": now.timestamp() + 40_000, "USD": 9e4})},
        "one of the clocks is wrong",
    ),
    "a price as text": (
        network, lambda now: mempool(now) | {"/api/v1/prices": Reply({"time": now.timestamp(), "USD": "90000"})},
        "USD: expected a number",
    ),
    "no dollars": (
        network, lambda now: mempool(now) | {"/api/v1/prices": Reply({"time": now.timestamp(), "EUR": 9e4})}, "no USD",
    ),
    "blocks of yesterday": (network, lambda now: mempool(now, age=timedelta(hours=5)), "stands still"),
    "answers of two times": (
        network,
        lambda now: mempool(now) | {
            "/api/v1/difficulty-adjustment": Reply({"remainingBlocks": 300, "nextRetargetHeight": 925_344})
        },
        "answers of two times",
    ),
    "no fees": (network, lambda now: mempool(now) | {"/api/v1/mining/blocks/fees/24h": Reply([])}, "expected a list"),
    "another chain": (own_node, lambda now: {"": node(now, chain="regtest")}, "expected main"),
    "a node that is loading": (own_node, lambda now: {"": node(now, initialblockdownload=True)}, "still loading"),
    "a node that stands still": (own_node, lambda now: {"": node(now, time=int(now.timestamp()) - 20_000)}, "stands still"),
    "another subsidy": (own_node, lambda now: {"": node(now, subsidy=625_000_000)}, "another chain"),
    "no list of answers": (own_node, lambda now: {"": node(now, batch=False)}, "expected a list of 1 answers"),
    "a call that fails": (
        own_node, lambda now: {"": Reply([{"result": None, "error": {"code": -28, "message": "Loading"}, "id": 0}])}, "Loading",
    ),
}  # fmt: skip


@pytest.mark.parametrize("label", WRONG)
def test_a_wrong_answer_is_refused_in_words_and_nothing_is_kept(served, replay, label):
    source, url = replay
    feed, replies, words = WRONG[label]
    source.replies = {path or "/": reply for path, reply in replies(served.now()).items()}
    served.feed(feed(url))
    polled = served.poll()
    assert polled.state == "failed"
    assert words in polled.error, polled.error
    assert served.store.series.declarations() == []


def test_a_secret_that_is_not_set_is_named(served, replay):
    _, url = replay
    served.feed(own_node(url, password_env="NO_SUCH_WORD"))
    assert "NO_SUCH_WORD is not set" in served.poll().error


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
@pytest.mark.parametrize("form", ["plain", "cut", "basic", "quoted", "escaped"])
def test_what_a_source_repeats_of_a_secret_is_not_shown(replay, form, kind):
    source, url = replay
    word = "s3cret/of+the node " + "x" * 60
    basic = base64.b64encode(f"miner:{word}".encode()).decode()
    said = {
        "plain": word,
        "cut": "." * 40 + word,
        "basic": basic,
        "quoted": quote_plus(word),
        "escaped": word.replace("/", "\\/"),
    }
    source.replies = {"/": Reply(raw=f"no such key: {said[form]}".encode(), kind=kind, status=500)}
    (feed,) = parse(FeedsFile, {"feeds": [own_node(url) | {"licence": "a test"}]}).feeds
    with pytest.raises(FeedError, match="no such key") as failed:
        feed.poll(START, {"NODE_USER": "miner", "NODE_PASSWORD": word})
    assert "s3cret" not in str(failed.value)
    assert basic[:12] not in str(failed.value)


def test_a_batch_is_kept_whole_or_not_at_all(served, replay):
    """The hashprice is refused, for it is a tenth of a thousandth of what is known: price and difficulty stay out too."""
    source, url = replay
    declared = {
        "name": "hashprice", "kind": "hashprice", "subject": None, "unit": "USD/PH/day", "zone": "UTC", "resolution_s": 3600,
        "source": f"price, difficulty, subsidy and fees of {url}", "curve_type": "A01", "late_after_s": 10_800,
        "difficulty": "constant", "licence": "written for the test",
    }  # fmt: skip
    before = {"declaration": declared, "known_at": iso(START - 24 * HOUR),
              "points": [{"start": iso(START - HOUR), "value": 4_000.0}]}  # fmt: skip
    sent = served.client.post("/v1/series/hashprice", json=before, headers=served.as_("feed"))
    assert sent.status_code == 200, sent.text
    source.replies = mempool(served.now(), usd=20)
    served.feed(network(url))
    polled = served.poll()
    assert polled.state == "failed"
    assert "unit_magnitude" in polled.error
    assert [d.name for d in served.store.series.declarations()] == ["hashprice"]
    assert served.values("hashprice") == [4_000.0]


def test_every_declaration_of_a_feed_is_complete(served, replay):
    source, url = replay
    source.replies = mempool(served.now()) | {"/v1/forecast": weather(served.now())}
    served.feed(network(url), sky(url) | {"name": "sky"})
    served.poll()
    served.poll("sky")
    for declared in served.store.series.declarations():
        assert SeriesDeclaration.model_validate_json(declared.model_dump_json()) == declared
        assert declared.source.startswith(("http", "price, difficulty"))
        assert declared.licence == "written for the test"
    assert FeedsFile.model_json_schema()["properties"]["feeds"]["maxItems"] == 100
