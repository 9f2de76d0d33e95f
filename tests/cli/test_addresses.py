"""A setting, an address or a key that can be none, and somebody else who answers there: each is said in a line."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class Stranger(BaseHTTPRequestHandler):
    """Answers everything with a page, as the sign-in of a proxy does."""

    def do_GET(self) -> None:
        page = b"<html>Please sign in</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def said(ended) -> str:
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    return ended.err


def test_a_misspelt_setting_is_named_by_commands_that_read_settings(wattsplit):
    ended = wattsplit("plan", "list", url="", WATTSPLIT_PROT="8081")
    assert said(ended).startswith("wattsplit: WATTSPLIT_PROT is not a setting; known are acknowledge_within_s, ")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused_with_one_that_is(wattsplit, url):
    assert f"WATTSPLIT_URL: expected an address such as http://127.0.0.1:8080, got '{url}'" in said(
        wattsplit("plan", "list", url=url)
    )


def test_a_key_that_can_be_none_is_not_repeated(wattsplit):
    assert "canäry" not in said(wattsplit("plan", "list", key="ws_canäry.x"))


def test_somebody_else_who_answers_is_not_taken_for_the_service(wattsplit, stranger):
    told = said(wattsplit("plan", "list", url=stranger))
    assert "expected JSON, got text/html" in told
    assert "WATTSPLIT_URL" in told
