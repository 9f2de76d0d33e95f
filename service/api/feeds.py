"""/v1/feeds: how the sources are from which the service fetches series by itself."""

from models.base import Record
from service.api.common import who
from service.feeds.status import FeedPoll, FeedStatus
from service.http.problems import not_found
from service.http.routes import Call, Route, reads, writes
from service.ports import Services


class FeedList(Record):
    """All feeds by name."""

    items: tuple[FeedStatus, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of feeds."""

    def listing(call: Call) -> FeedList:
        """List all feeds: last success, last error, newest value, and whether they are stale."""
        return FeedList(items=services.feeds.status() if services.feeds else ())

    def poll(call: Call, feed: str) -> FeedPoll:
        """Ask a feed at once and keep what it tells; a poll that takes long goes on behind the answer."""
        if services.feeds is None:
            raise not_found()
        try:
            return services.feeds.poll_now(feed, who(call))
        except KeyError:
            raise not_found() from None

    return [
        Route("GET", "/v1/feeds", listing, reads("operator", "planner"), "All feeds", "feeds", FeedList),
        Route("POST", "/v1/feeds/{feed}/polls", poll, writes("feed", "operator"), "Ask a feed now", "feeds", FeedPoll),
    ]
