"""The HTTP server: waitress on one address, with bodies in chunks refused before they are read."""

from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, TransferEncodingNotImplemented
from waitress.server import create_server

from service.config import Settings

HEADER_BYTES = 16 * 1024
IDLE_S = 75


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress ships no types
    """waitress gathers chunks up to the cap and shows them as an ordinary body; here a length is required instead."""

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a body whose length is not declared."""
        super().parse_header(header_plus)
        if self.chunked:
            raise TransferEncodingNotImplemented("expected a body with Content-Length, not in chunks")


class _Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = _Parser


def create(app: Flask, settings: Settings, *, ident: str = "wattsplit") -> Any:
    """Return a waitress server that is bound and not running yet: `.effective_port`, `.run()`, `.close()`."""
    server = create_server(
        app,
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        ident=ident,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=max(settings.max_body_bytes, settings.max_large_body_bytes),
        channel_timeout=IDLE_S,
        clear_untrusted_proxy_headers=False,  # their presence tells that a request did not come straight from this machine
    )
    for each in getattr(server, "map", {}).values():
        if hasattr(each, "channel_class"):
            each.channel_class = _Channel
    server.channel_class = _Channel
    return server
