"""A source of feeds on this machine: it replays answers, and can be slow, broken, compressed, redirecting or encrypted.

The answers were written for these tests in the documented form of each API; none was recorded from a live source.
"""

import gzip
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Reply:
    """One answer: its content, and what is wrong with the way it comes."""

    content: Any = None
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    wait_s: float = 0.0
    """Before the first byte."""
    drip_s: float = 0.0
    """Between single bytes."""
    cut: int | None = None
    """Bytes after which the line breaks."""

    @property
    def body(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.content).encode()


class Source:
    """Answers by path; what was asked is kept."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply | Callable[[Any], Reply]] = {}
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.ending = threading.Event()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        length = int(handler.headers.get("Content-Length") or 0)
        sent = json.loads(handler.rfile.read(length)) if length else None
        self.asked.append((handler.command, handler.path, dict(handler.headers), sent))
        reply = self.replies.get(path, Reply({"error": "not found"}, 404))
        reply = reply(sent) if callable(reply) else reply
        self.ending.wait(reply.wait_s)
        body = reply.body
        handler.send_response(reply.status)
        for name, value in ({"Content-Type": reply.kind, "Content-Length": str(len(body))} | reply.headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        pieces = [body[n : n + 1] for n in range(len(body))] if reply.drip_s else [body[: reply.cut]]
        for piece in pieces:
            handler.wfile.write(piece)
            if self.ending.wait(reply.drip_s):
                return
        handler.close_connection = True


@contextmanager
def source(tls: Path | None = None) -> Iterator[tuple[Source, str]]:
    """Run a source on a free port and give it with its base address; `tls` is a folder for its own certificate."""
    of = Source()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with suppress(OSError):
                of.answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that turned away is what some of these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if tls is not None:
        import ssl

        scheme = "https"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate(tls))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield of, f"{scheme}://127.0.0.1:{server.server_port}"
    finally:
        of.ending.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that nobody else vouches for."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not cert.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
            check=True, capture_output=True,
        )  # fmt: skip
    return cert, key


def gzipped(content: bytes) -> Reply:
    return Reply(raw=gzip.compress(content), headers={"Content-Encoding": "gzip"})


def mempool(
    now: datetime, *, usd: float = 87_000, height: int = 925_001, age: timedelta = timedelta(minutes=4)
) -> dict[str, Reply]:
    """Answers of a mempool.space instance (docs: /api/v1/prices, blocks, difficulty-adjustment, mining/blocks/fees)."""
    at = int((now - age).timestamp())
    retarget = 925_344
    blocks = [
        {"id": f"{0:064x}", "height": height - n, "version": 545_259_520, "timestamp": at - 600 * n, "bits": 386_000_000,
         "nonce": 1, "difficulty": 152_271_658_554_077.5, "tx_count": 2_000, "size": 1_500_000, "weight": 3_990_000,
         "extras": {"totalFees": 2_400_000, "reward": 314_900_000}}
        for n in range(15)
    ]  # fmt: skip
    return {
        "/api/v1/prices": Reply({"time": at, "USD": usd, "EUR": 75_000, "GBP": 66_000}),
        "/api/v1/blocks": Reply(blocks),
        "/api/v1/difficulty-adjustment": Reply({
            "progressPercent": 82.9, "difficultyChange": 1.9, "estimatedRetargetDate": at * 1000 + 200_000_000,
            "remainingBlocks": retarget - height, "remainingTime": 200_000_000, "previousRetarget": -2.4,
            "previousTime": at - 1_000_000, "nextRetargetHeight": retarget, "timeAvg": 590_000, "adjustedTimeAvg": 590_000,
            "timeOffset": 0, "expectedBlocks": 1_650.5,
        }),
        "/api/v1/mining/blocks/fees/24h": Reply([
            {"avgHeight": height - 60 * n, "timestamp": at - 36_000 * n, "avgFees": 2_400_000 + 200_000 * n, "USD": usd}
            for n in range(3)
        ]),
    }  # fmt: skip


def weather(now: datetime, hours: int = 72, **changes: Any) -> Reply:
    """An answer of Open-Meteo (docs: /v1/forecast, hourly=temperature_2m)."""
    first = now.replace(hour=0, minute=0, second=0, microsecond=0)
    content = {
        "latitude": 29.75, "longitude": -95.375, "generationtime_ms": 0.03, "utc_offset_seconds": 0, "timezone": "GMT",
        "timezone_abbreviation": "GMT", "elevation": 15.0, "hourly_units": {"time": "iso8601", "temperature_2m": "°C"},
        "hourly": {
            "time": [f"{first + timedelta(hours=n):%Y-%m-%dT%H:%M}" for n in range(hours)],
            "temperature_2m": [round(18 + 6 * ((n % 24) / 24) - n / 50, 1) for n in range(hours)],
        },
    }  # fmt: skip
    return Reply(content | changes)


def node(now: datetime, *, height: int = 925_000, batch: bool = True, **changes: Any) -> Callable[[Any], Reply]:
    """What bitcoind answers to a batch of calls (docs: getblockchaininfo, getblockstats)."""
    chain = {
        "chain": "main", "blocks": height, "headers": height, "bestblockhash": f"{0:064x}",
        "difficulty": 152_271_658_554_077.5, "time": int((now - timedelta(minutes=7)).timestamp()),
        "mediantime": int((now - timedelta(hours=1)).timestamp()), "verificationprogress": 0.9999,
        "initialblockdownload": False, "pruned": False, "warnings": [],
    } | changes  # fmt: skip

    def answer(calls: Any) -> Reply:
        results = []
        for call in calls:
            result: Any = chain
            if call["method"] == "getblockstats":
                result = {
                    "subsidy": changes.get("subsidy", 312_500_000),
                    "totalfee": 1_000_000 + 10_000 * (call["params"][0] % 7),
                }
            results.append({"result": result, "error": None, "id": call["id"]})
        return Reply(results if batch else results[0])

    return answer


def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
