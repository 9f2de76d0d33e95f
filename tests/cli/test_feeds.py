"""Feeds and files of series from the command line: looked at, tried without storing, asked, exported and imported again."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from feed_source import Reply, source, weather
from served import START, Served

from models.base import iso
from models.reading import parse
from service.alarms import Alarms
from service.app import create_app
from service.feeds.feeds_file import FeedsFile
from service.feeds.runner import FeedRunner

PLACE = {"subject": "inland", "latitude": 29.76, "longitude": -95.37, "licence": "CC BY 4.0"}


@pytest.fixture
def fed(served_folder: Path):
    """A service on a port, with one feed, and the source that it asks."""
    served = Served(served_folder)
    with source() as (running, url):
        running.replies = {"/v1": weather(served.now())}
        feed = {"kind": "weather", "name": "sky", "url": f"{url}/v1", "private": True} | PLACE
        runner = FeedRunner(parse(FeedsFile, {"feeds": [feed]}).feeds, served.store, Alarms(served.store, served.now), served.now)
        served.app = create_app(replace(served.services, feeds=runner))
        with served.listening() as address:
            yield running, served, address
    served.close()


@pytest.fixture
def served_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("served")


def test_a_feed_is_polled_and_listed(wattsplit, fed):
    running, served, address = fed
    ask = {"url": address, "key": served.tokens["operator"]}
    done = wattsplit("feed", "poll", "sky", **ask)
    assert done.code == 0, done.err
    assert "ambient.inland: 64 values kept" in done.out
    (row,) = wattsplit("feed", "list", "--json", **ask).json
    assert (row["name"], row["failures"], row["stale"]) == ("sky", 0, False)
    assert "sky" in wattsplit("feed", "list", **ask).out
    running.replies = {"/v1": Reply({}, 500)}
    failed = wattsplit("feed", "poll", "sky", **ask)
    assert failed.code == 1
    assert "answers 500" in failed.err
    assert wattsplit("feed", "poll", "nobody", **ask).code == 3


def test_the_doctor_names_a_feed_that_fails(wattsplit, fed, monkeypatch):
    from service.cli.doctor import feeds

    running, served, address = fed
    running.replies = {"/v1": Reply({}, 500)}
    wattsplit("feed", "poll", "sky", url=address, key=served.tokens["operator"])
    monkeypatch.setenv("WATTSPLIT_URL", address)
    monkeypatch.setenv("WATTSPLIT_KEY", served.tokens["operator"])
    with pytest.raises(RuntimeError, match=r"sky: http.*answers 500"):
        feeds()


def test_a_feed_is_checked_without_storing_or_moving_anything(wattsplit, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    declared = {
        "name": "price.west", "kind": "price", "subject": "west", "unit": "USD/MWh", "zone": "UTC", "resolution_s": 3600,
        "source": "a test", "curve_type": "A01", "cap": 5000,
    }  # fmt: skip
    points = [{"start": iso(START), "value": 31.0}, {"start": "2026-11-22T09:00:00Z", "value": 6_000.0}]
    content = {"declaration": declared, "known_at": "2026-11-01T00:00:00Z", "points": points[:1]}
    (folder / "price.west.json").write_text(json.dumps(content))
    old = time.time() - 60
    os.utime(folder / "price.west.json", (old, old))
    feeds = {"feeds": [{"kind": "drop_folder", "name": "files", "folder": str(folder), "licence": "ours"}]}
    (tmp_path / "feeds.yaml").write_text(yaml.safe_dump(feeds))
    good = wattsplit("feed", "check", "files", "--file", "feeds.yaml", "--json")
    assert good.code == 0, good.err
    assert good.json[0]["series"] == "price.west"
    (folder / "price.west.json").write_text(json.dumps(content | {"points": points}))
    os.utime(folder / "price.west.json", (old, old))
    bad = wattsplit("feed", "check", "files", "--file", "feeds.yaml")
    assert bad.code == 3
    assert "/points/1/value" in bad.err
    assert [path.name for path in folder.iterdir()] == ["price.west.json"]


def test_a_file_of_feeds_that_is_refused_stops_the_start(wattsplit, tmp_path):
    (tmp_path / "feeds.yaml").write_text("feeds:\n- {kind: weather, name: sky}\n")
    refused = wattsplit("feed", "check", "sky", "--file", "feeds.yaml")
    assert refused.code == 3
    assert "/feeds/0/weather/latitude" in refused.err


def test_parquet_out_and_in_again(wattsplit, fed, tmp_path):
    _, served, address = fed
    ask = {"url": address, "key": served.tokens["operator"]}
    wattsplit("feed", "poll", "sky", **ask)
    for suffix in ("parquet", "csv", "json"):
        done = wattsplit("series", "export", "ambient.inland", "--out", f"t.{suffix}", "--from", iso(START), **ask)
        assert done.code == 0, done.err
        assert (tmp_path / f"t.{suffix}").stat().st_size > 500
    done = wattsplit("series", "import", "ambient.inland", "t.parquet", "--json", **ask)
    assert done.code == 0, done.err
    assert (done.json["stored"], done.json["known"]) == (0, 64)
    assert wattsplit("series", "export", "ambient.inland", "--out", "t.xlsx", **ask).code == 2
