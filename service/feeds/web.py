"""One question over HTTP: within a time, within a size, to one host, and with an answer that is JSON or nothing.

Written on httpcore, the engine under httpx: only there can the address that is dialled be checked, and a deadline be put on
the whole of an answer. Redirects to another host are refused, and compressed answers are unpacked no further than the cap.
"""

import base64
import hashlib
import json
import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urljoin, urlsplit

import httpcore

from models.reading import BadInputError, parse_json
from service.feeds.dialling import Dialler
from service.feeds.told import FeedError, Secret, WebSettings

MOST_REDIRECTS = 3
MOST_PATIENCE_S = 86_400.0
MOST_SEARCHED = 10_000
"""Bytes of an answer that are searched for secrets before its beginning is shown."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Raw:
    """An answer as it came, unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Web:
    """Asks one source on behalf of one poll; `seen` says what was asked and the digest of what came."""

    settings: WebSettings
    now: datetime
    seen: list[dict[str, str]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    """Secrets that were sent, in every form in which an answer may repeat them."""

    def get(self, path: str, **query: str | float) -> Any:
        """Return the JSON of a resource below the base address.

        Raises:
            FeedError: there is none, in words that hold no query and so no key.
        """
        for value in query.values():
            if isinstance(value, Secret):
                self._hide(value)
        url = self.settings.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        return self._json("GET", url, {}, None)

    def post(self, content: Any, user: str, password: str) -> Any:
        """Send JSON to the base address, with a password, and return the JSON that it answers.

        Raises:
            FeedError: as for `get`.
        """
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._hide(word)
        self._hide(password)
        headers = {"Authorization": f"Basic {word}", "Content-Type": "application/json"}
        return self._json("POST", self.settings.url, headers, json.dumps(content).encode())

    @property
    def provenance(self) -> dict[str, Any]:
        """What series keep of where they are from."""
        return {"asked": self.seen, "licence": self.settings.licence}

    def _hide(self, text: str) -> None:
        self.hidden |= {text, quote(text), quote(text, safe=""), quote_plus(text), text.replace("/", "\\/")}

    def _json(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> Any:
        where = _shown(url)
        deadline = time.monotonic() + self.settings.total_s
        for _ in range(MOST_REDIRECTS + 1):
            raw = self._once(method, url, headers, content, deadline)
            if raw.status not in REDIRECTS:
                break
            url = _same_host(url, raw.headers.get("location", ""), where)
        else:
            raise FeedError(f"{where} redirects more than {MOST_REDIRECTS} times")
        begins = _start(raw.body, self.hidden)
        _refuse_status(where, raw, begins, self.now)
        kind = raw.headers.get("content-type", "nothing").split(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise FeedError(f"{where}: expected application/json, got {kind[:60]}: {begins}")
        try:
            found = parse_json(raw.body)
        except BadInputError as error:
            first = error.refusals[0]
            raise FeedError(f"{where}: the answer is refused: {first.pointer or 'document'}: {first.detail}") from None
        self.seen.append({"from": where, "sha256": hashlib.sha256(raw.body).hexdigest()})
        return found

    def _once(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, deadline: float) -> Raw:
        settings, where = self.settings, _shown(url)
        asked = [("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "wattsplit"), *headers.items()]
        timeout = {"connect": settings.connect_s, "read": settings.read_s, "write": settings.read_s, "pool": settings.connect_s}
        dialler = Dialler(deadline, private=settings.private)
        try:
            with (
                httpcore.ConnectionPool(ssl_context=_trusted(settings.ca_file), network_backend=dialler) as pool,
                pool.stream(method, url, headers=asked, content=content, extensions={"timeout": timeout}) as answer,
            ):
                told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
                return Raw(answer.status, told, _unpacked(answer, told, settings.max_bytes, where))
        except httpcore.TimeoutException as error:
            what = type(error).__name__.removesuffix("Timeout").lower()
            raise FeedError(f"{where} took too long to {what} (at most {settings.total_s:g} s in all)") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise FeedError(f"{where} does not answer: {' '.join(str(error).split())[:200] or type(error).__name__}") from None


def _trusted(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise FeedError(f"ca_file {ca_file} cannot be read: {error.strerror or error}") from None


def _unpacked(answer: httpcore.Response, headers: Mapping[str, str], cap: int, where: str) -> bytes:
    """Read a body up to a cap, which counts what is unpacked."""
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise FeedError(f"{where}: expected an answer that is not compressed, got {encoding[:40]}")
    unpack = zlib.decompressobj(31) if encoding == "gzip" else None
    body = bytearray()
    for chunk in answer.iter_stream():
        try:
            body += unpack.decompress(chunk, cap + 1) if unpack else chunk
        except zlib.error as error:
            raise FeedError(f"{where}: the answer is not gzip as it says: {error}") from None
        if len(body) > cap:
            raise FeedError(f"{where}: the answer has more than {cap} bytes")
    if unpack is not None and not unpack.eof:
        raise FeedError(f"{where}: the answer is cut off")
    return bytes(body)


def _same_host(url: str, location: str, where: str) -> str:
    there = urljoin(url, location)
    if urlsplit(there)[:2] != urlsplit(url)[:2] or not location:
        raise FeedError(f"{where} redirects to {_shown(there)}, another host, which is not followed")
    return there


def _refuse_status(where: str, raw: Raw, begins: str, now: datetime) -> None:
    if raw.status == 200:
        return
    after_s = _retry_after_s(raw.headers.get("retry-after", ""), now)
    if raw.status in (401, 403):
        raise FeedError(f"{where} answers {raw.status}: it does not accept our key, or us", after_s)
    patience = f"; it asks for {after_s:.0f} s of patience" if after_s else ""
    raise FeedError(f"{where} answers {raw.status}: {begins}{patience}", after_s)


def _retry_after_s(text: str, now: datetime) -> float | None:
    """Return the seconds that a header Retry-After asks for, which may be a date."""
    if text.strip().isdigit():
        return min(float(text.strip()[:9]), MOST_PATIENCE_S)
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now).total_seconds()), MOST_PATIENCE_S)


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _start(body: bytes, hidden: set[str]) -> str:
    """Return the beginning of an answer; secrets are taken out before it is cut, lest half of one be left."""
    text = body[:MOST_SEARCHED].decode(errors="replace")
    for one in sorted(hidden, key=len, reverse=True):
        text = text.replace(one, "…")
    words = " ".join(text.split())
    return repr(words[:80]) if words else "nothing"
