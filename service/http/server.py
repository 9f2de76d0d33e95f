"""The HTTP server: waitress on one address, with bodies in chunks refused before they are read."""

import contextlib
import resource
import threading
from collections.abc import Callable
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, TransferEncodingNotImplemented
from waitress.server import create_server

from service.config import Settings

HEADER_BYTES = 16 * 1024
IDLE_S = 75
GRACE_S = 5
MOST_CONNECTIONS = 4_096
"""Open at once. A controller keeps its own between polls, so that waitress' hundred is a small fleet's."""


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress ships no types
    """waitress gathers chunks up to the cap and shows them as an ordinary body; here a length is required instead."""

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a body whose length is not declared."""
        super().parse_header(header_plus)
        if self.chunked:
            raise TransferEncodingNotImplemented("expected a body with Content-Length, not in chunks")


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress ships no types
    parser_class = _Parser


class Server:
    """A waitress server that is bound and not running yet."""

    def __init__(self, app: Flask, settings: Settings, on_stop: Callable[[], None] | None = None) -> None:
        self._map: dict[int, Any] = {}
        self._on_stop = on_stop
        self._loop: int | None = None
        self._server = create_server(
            app,
            map=self._map,
            host=settings.host,
            port=settings.port,
            threads=settings.threads,
            ident="wattsplit",
            max_request_header_size=HEADER_BYTES,
            max_request_body_size=max(settings.max_body_bytes, settings.max_large_body_bytes),
            channel_timeout=IDLE_S,
            connection_limit=connection_limit(),
            clear_untrusted_proxy_headers=False,  # their presence tells that a request did not come straight from this machine
        )
        self._sockets = [each for each in self._map.values() if hasattr(each, "channel_class")]
        for each in self._sockets:
            each.channel_class = _Channel

    @property
    def effective_port(self) -> int:
        """The port that is bound; the system's choice where port 0 was asked for."""
        return int(self._sockets[0].effective_port)

    def run(self) -> None:
        """Serve in this thread until `close()`, or until Ctrl-C in the main thread."""
        self._loop = threading.get_ident()
        try:
            wasyncore.loop(timeout=1, map=self._map, use_poll=True)
        finally:
            self._loop = None
            self.close()

    def close(self) -> None:
        """End `run()` from any thread and give the port back; answers under way are finished first, for some seconds at most."""
        if self._on_stop is not None:
            self._on_stop()
        self._server.task_dispatcher.shutdown(timeout=GRACE_S)
        if self._loop in (None, threading.get_ident()):
            wasyncore.close_all(self._map)
            return
        with contextlib.suppress(OSError):  # it is closed already
            self._sockets[0].trigger.pull_trigger(lambda: wasyncore.close_all(self._map))


def connection_limit() -> int:
    """Return how many connections may be open: half of the files that this process may, for it has others to open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, files // 2)


def create(app: Flask, settings: Settings, on_stop: Callable[[], None] | None = None) -> Server:
    """Return a bound server; `on_stop` is called when it stops, to end what waits (long polls).

    Raises:
        OSError: the address is taken or not ours.
    """
    return Server(app, settings, on_stop)
