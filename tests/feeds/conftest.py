"""A service with feeds, and a source on this machine that they ask."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from feed_source import Source, source
from served import Served

from models.reading import parse
from service.alarms import Alarms
from service.feeds.feeds_file import FeedsFile
from service.feeds.runner import FeedRunner
from service.feeds.status import FeedPoll

ENVIRONMENT = {"NODE_USER": "wattsplit", "NODE_PASSWORD": "s3cret-word", "METEO_KEY": "k3y-of-ours", "PATH": "/usr/bin:/bin"}


class Fed(Served):
    """A service whose feeds are asked by the test."""

    runner: FeedRunner

    def feed(self, *feeds: dict[str, Any]) -> FeedRunner:
        file = parse(FeedsFile, {"feeds": [{"licence": "written for the test"} | feed for feed in feeds]})
        self.alarms = Alarms(self.store, self.now)
        self.runner = FeedRunner(
            file.feeds, self.store, self.alarms, self.now, limits_changed=self.planning.limits_changed, environment=ENVIRONMENT
        )
        return self.runner

    def poll(self, name: str = "source") -> FeedPoll:
        return self.runner.poll_now(name, "test")

    def values(self, series: str) -> list[float]:
        start = self.now.at.replace(minute=0, second=0, microsecond=0)
        return [p.value for p in self.store.series.values(series, start.replace(year=2020), start.replace(year=2030))]

    def raised(self, code: str) -> list[dict[str, Any]]:
        return [e.detail for e in self.store.audit_log.page(limit=1000).items if e.action == "alarm" and e.subject == code]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Fed]:
    service = Fed(tmp_path)
    yield service
    if hasattr(service, "runner"):
        service.runner.stop()
    service.close()


@pytest.fixture
def replay() -> Iterator[tuple[Source, str]]:
    with source() as running:
        yield running


Asked = Callable[..., FeedPoll]
