"""Sources that are slow, broken, hostile or at the wrong place: the feed says so in words, in time, and keeps nothing."""

import ipaddress
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from feed_source import Reply, gzipped, source, weather

from models.reading import BadInputError, parse
from service.feeds.dialling import is_public
from service.feeds.feeds_file import FeedsFile

PATH = "/v1/forecast"


def sky(url, **more):
    place = {"subject": "inland", "latitude": 29.76, "longitude": -95.37}
    return {"kind": "weather", "name": "source", "url": f"{url}{PATH}", "private": True, "total_s": 3} | place | more


def good(now):
    return weather(now).body


BROKEN = {
    "hangs before it answers": (lambda now: Reply(wait_s=30), {"read_s": 0.5}, "took too long to read"),
    "drips byte by byte": (lambda now: Reply(raw=good(now), drip_s=0.1), {"read_s": 1, "total_s": 1}, "at most 1 s in all"),
    "is cut off": (lambda now: Reply(raw=good(now), cut=500), {}, "does not answer"),
    "is cut off inside JSON": (lambda now: Reply(raw=good(now)[:500]), {}, "not JSON"),
    "fails": (lambda now: Reply({"error": True, "reason": "out of memory"}, 500), {}, "answers 500"),
    "is not there": (lambda now: Reply({}, 404), {}, "answers 404"),
    "does not accept the key": (lambda now: Reply({"error": "no"}, 401), {}, "does not accept our key"),
    "asks for patience": (lambda now: Reply({}, 429, headers={"Retry-After": "1200"}), {}, "asks for 1200 s of patience"),
    "tells text": (lambda now: Reply(raw=good(now), kind="text/plain"), {}, "expected application/json, got text/plain"),
    "tells a page": (
        lambda now: Reply(raw=b"<!doctype html><title>Maintenance</title>", kind="text/html"), {}, "<title>Maintenance",
    ),
    "tells a page and calls it JSON": (lambda now: Reply(raw=b"<!doctype html>"), {}, "not JSON"),
    "tells NaN": (lambda now: Reply(raw=good(now).replace(b"18.0", b"NaN", 1)), {}, "NaN is not a number"),
    "tells 1e999": (lambda now: Reply(raw=good(now).replace(b"18.0", b"1e999", 1)), {}, "beyond the range"),
    "tells a key twice": (lambda now: Reply(raw=b'{"hourly": 1, "hourly": 2}'), {}, "stands twice"),
    "tells too much": (lambda now: Reply(raw=b"[" + b"1," * 5_000_000 + b"1]"), {"max_bytes": 100_000}, "more than 100000 bytes"),
    "bursts when unpacked": (lambda now: gzipped(b"[" + b" " * 300_000_000 + b"]"), {}, "more than 4194304 bytes"),
    "says gzip and is none": (
        lambda now: Reply(raw=good(now), headers={"Content-Encoding": "gzip"}), {}, "not gzip as it says",
    ),
    "packs by another rule": (lambda now: Reply(raw=b"x", headers={"Content-Encoding": "br"}), {}, "not compressed"),
    "leads elsewhere": (
        lambda now: Reply({}, 302, headers={"Location": "http://169.254.169.254/latest/meta-data"}), {}, "another host",
    ),
    "leads to another port": (lambda now: Reply({}, 301, headers={"Location": "http://127.0.0.1:9/"}), {}, "another host"),
    "leads nowhere": (lambda now: Reply({}, 307), {}, "another host"),
    "leads in a circle": (lambda now: Reply({}, 302, headers={"Location": PATH}), {}, "more than 3 times"),
    "nests without end": (lambda now: Reply(raw=b"[" * 100_000), {}, "nested deeper"),
}  # fmt: skip


@pytest.mark.parametrize("label", BROKEN)
def test_a_source_that(served, replay, label):
    running, url = replay
    reply, settings, words = BROKEN[label]
    running.replies = {PATH: reply(served.now())}
    served.feed(sky(url, **settings))
    began = time.monotonic()
    polled = served.poll()
    assert time.monotonic() - began < 10
    assert polled.state == "failed"
    assert words in polled.error, polled.error
    assert served.store.series.declarations() == []


def test_a_source_that_repeats_our_key_does_not_make_us_tell_it(served, replay):
    running, url = replay
    running.replies = {PATH: Reply({"error": True, "reason": "the key k3y-of-ours is not valid"}, 400)}
    served.feed(sky(url, key_env="METEO_KEY"))
    error = served.poll().error
    assert "the key … is not valid" in error
    assert "k3y-of-ours" not in error


def test_what_is_compressed_honestly_is_read(served, replay):
    running, url = replay
    running.replies = {PATH: gzipped(good(served.now()))}
    served.feed(sky(url))
    assert served.poll().error is None


def test_a_redirect_on_the_same_host_is_followed(served, replay):
    running, url = replay
    running.replies = {PATH: Reply({}, 308, headers={"Location": "/v2/forecast"}), "/v2/forecast": weather(served.now())}
    served.feed(sky(url))
    assert served.poll().error is None


def test_a_private_address_is_not_asked_unless_that_is_declared(served, tmp_path):
    """The name is not what counts: what it is looked up to is."""
    with source(tls=tmp_path) as (running, url):
        for name in (url, url.replace("127.0.0.1", "localhost")):
            served.feed(sky(name, private=False))
            assert "private address" in served.poll().error
        assert running.asked == []


EMBEDDED = {
    "mapped": "::ffff:{dotted}", "NAT64": "64:ff9b::{dotted}", "6to4": "2002:{pairs}::1",
    "Teredo": "2001:0:{pairs}:0:ffff:f7f7:f7f7", "ISATAP": "2a00:1450::5efe:{dotted}",
}  # fmt: skip


@pytest.mark.parametrize("inner", ["127.0.0.1", "10.1.2.3", "172.16.0.9", "192.168.7.1", "169.254.169.254", "100.64.0.1"])
@pytest.mark.parametrize("how", EMBEDDED)
def test_a_private_address_inside_another_one_is_not_asked(served, how, inner):
    n = int(ipaddress.IPv4Address(inner))
    outer = EMBEDDED[how].format(dotted=inner, pairs=f"{n >> 16:x}:{n & 0xFFFF:x}")
    served.feed(sky(f"https://[{outer}]", private=False))
    assert "private address" in served.poll().error


def test_the_client_inside_a_teredo_address_counts_too():
    """It is written with every bit turned: 10.0.0.1 as f5ff:fffe."""
    assert not is_public("2001:0:808:808:0:ffff:f5ff:fffe")


@pytest.mark.parametrize(
    "address", ["64:ff9b:1::808:808", "::8.8.8.8", "::ffff:0:8.8.8.8", "fec0::1", "ff02::1", "224.0.0.1", "::"]
)
def test_what_is_no_address_of_the_world_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_public_in_every_form(address):
    assert is_public(address)


def test_a_certificate_that_nobody_vouches_for_is_refused(served, tmp_path):
    with source(tls=tmp_path) as (running, url):
        running.replies = {PATH: weather(served.now())}
        served.feed(sky(url))
        assert "certificate" in served.poll().error.lower()
        served.feed(sky(url, ca_file=str(tmp_path / "cert.pem")))
        assert served.poll().error is None
        served.feed(sky(url, ca_file=str(tmp_path / "no.pem")))
        assert "ca_file" in served.poll().error


def test_nobody_listens(served):
    served.feed(sky("http://127.0.0.1:9", connect_s=1))
    assert "does not answer" in served.poll().error


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_source_that_accepts_and_says_nothing_or_says_it_letter_by_letter(served, scheme):
    """Neither a handshake that never comes nor a header without end may hold a feed longer than its whole time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ended = threading.Event()

        def drip():
            line, _ = listening.accept()
            with line, suppress(OSError):
                for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
                    if scheme == "http":
                        line.sendall(bytes([letter]))
                    if ended.wait(0.05):
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        served.feed(sky(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}", total_s=1, connect_s=1))
        began = time.monotonic()
        assert "took too long" in served.poll().error
        assert time.monotonic() - began < 4
        ended.set()
        thread.join(5)


def test_a_name_that_is_none(served):
    served.feed(sky("https://no-such-host.invalid", private=False))
    assert "is not found" in served.poll().error


FILES = {
    "plain http to the world": (sky("http://example.org", private=False), "expected https"),
    "a password in the address": (sky("https://me:word@example.org"), "pattern"),
    "a key in the address": (sky("https://example.org?apikey=1"), "pattern"),
    "a secret that is no name": (sky("https://example.org", key_env="s3cret!"), "pattern"),
    "no licence": (sky("https://example.org", licence=""), "at least 1"),
    "an unknown field": (sky("https://example.org", verify=False), "not permitted"),
    "an unknown kind": ({"kind": "gopher", "name": "source"}, "gopher"),
}


@pytest.mark.parametrize("label", FILES)
def test_a_file_of_feeds_is_refused_whole(label):
    feed, words = FILES[label]
    with pytest.raises(BadInputError) as refused:
        parse(FeedsFile, {"feeds": [{"licence": "ours"} | feed]})
    assert words in str(refused.value)


def test_two_feeds_tell_nothing_of_the_same():
    one = sky("https://example.org") | {"licence": "ours"}
    for other, words in ((one, "name source is used twice"), (one | {"name": "b"}, "series ambient.inland is told by two")):
        with pytest.raises(BadInputError, match=words):
            parse(FeedsFile, {"feeds": [one, other]})


def test_after_failures_a_source_is_left_alone_longer_and_longer(served, replay):
    running, url = replay
    running.replies = {PATH: Reply({}, 500)}
    served.feed(sky(url, jitter_s=0, every_s=60))
    pauses = []
    for _ in range(5):
        served.poll()
        (status,) = served.runner.status()
        pauses.append((status.next_poll_at - served.now()) / timedelta(minutes=1))
    assert pauses == [5, 10, 20, 20, 20]
    assert len(served.raised("feed_failed")) == 1
    assert status.failures == 5
    running.replies = {PATH: weather(served.now())}
    served.poll()
    (status,) = served.runner.status()
    assert (status.failures, status.last_error) == (0, None)
    assert status.next_poll_at - served.now() == timedelta(seconds=60)


@pytest.mark.parametrize(("after", "minutes"), [("1200", 20), ("7", 5), ("Sun, 22 Nov 2026 08:50:00 GMT", 45), ("soon", 5)])
def test_a_source_is_left_alone_for_as_long_as_it_asks(served, replay, after, minutes):
    running, url = replay
    running.replies = {PATH: Reply({}, 429, headers={"Retry-After": after})}
    served.feed(sky(url, jitter_s=0))
    served.poll()
    (status,) = served.runner.status()
    assert status.next_poll_at - served.now() == timedelta(minutes=minutes)
