"""The running service, as commands see it: one address, one key, problems turned into exit codes."""

import atexit
import json
import os
import uuid
from collections.abc import Iterator
from typing import Any, Literal

import httpx

from service.cli.exits import CommandError, Exit, bad_input
from service.config import Settings, is_loopback

UNTRIED_S = 30.0


class Running:
    """A client of the running service. Every failure is a CommandError that says what to do."""

    def __init__(self, address: str, key: str | None) -> None:
        self.address = address.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=self.address, headers=headers, timeout=UNTRIED_S, trust_env=False)
        atexit.register(self._http.close)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a resource."""
        return _content(self.ask("GET", path, params={name: value for name, value in query.items() if value is not None}))

    def list(self, path: str, **query: Any) -> Iterator[Any]:
        """Return the items of a list, page by page."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if not (cursor := page.get("next_cursor")):
                return
            query["cursor"] = cursor

    def put(self, path: str, content: Any) -> Any:
        """Replace a resource."""
        return _content(self.ask("PUT", path, json=content))

    def post(self, path: str, content: Any) -> Any:
        """Create something, once, however often the line breaks."""
        return _content(self.ask("POST", path, json=content, headers={"Idempotency-Key": str(uuid.uuid4())}))

    def delete(self, path: str) -> Any:
        """Withdraw a resource."""
        answer = self.ask("DELETE", path)
        return _content(answer) if answer.content else None

    def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        """Send one request.

        Raises:
            CommandError: no service there (exit 1), no right to ask (exit 1), input refused (exit 3), or a failure.
        """
        try:
            answer = self._http.request(method, path, **words)
        except httpx.TransportError as error:
            raise CommandError(
                Exit.FAILED,
                f"no service answers at {self.address} ({error}); start one by `wattsplit serve`, or name one in WATTSPLIT_URL",
            ) from None
        if answer.is_error:
            raise refusal(answer)
        return answer


def running(role: Literal["operator", "admin"] = "operator") -> Running:
    """Return the client of the service that WATTSPLIT_URL names, or of the one on this machine at its own port.

    The key comes from WATTSPLIT_KEY, or from the file that the service of this machine keeps for its owner. That one is
    sent to this machine only.

    Raises:
        CommandError: the address or the key can be none.
    """
    address = os.environ.get("WATTSPLIT_URL") or f"http://127.0.0.1:{Settings.from_environment().port}"
    key = os.environ.get("WATTSPLIT_KEY", "").strip()
    if not (key.isascii() and key.isprintable()):
        raise CommandError(Exit.FAILED, "WATTSPLIT_KEY: expected a key such as ws_…, in plain letters and digits")
    host = _host(address)
    if not key and is_loopback(host):
        key = local_key(role) or ""
    return Running(address, key or None)


def _host(address: str) -> str:
    """Return the host of an address.

    Raises:
        CommandError: it is none.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise CommandError(Exit.FAILED, f"WATTSPLIT_URL: expected an address such as http://127.0.0.1:8080, got {address!r}")
    return url.host


def _content(answer: httpx.Response) -> Any:
    """Return the JSON of an answer.

    Raises:
        CommandError: it is none: something else than wattsplit answers there.
    """
    media_type = answer.headers.get("Content-Type", "nothing")
    if not media_type.startswith("application/json"):
        what = f"{answer.request.method} {answer.request.url}: expected JSON, got {media_type}"
        raise CommandError(Exit.FAILED, f"{what}; is it wattsplit that answers at the address of WATTSPLIT_URL?")
    return answer.json()


def local_key(role: Literal["operator", "admin"]) -> str | None:
    """Return the key that the service of this machine wrote for whoever may read its folder, or None."""
    settings = Settings.from_environment()
    file = settings.key_file if role == "operator" else settings.admin_key_file
    return file.read_text().strip() if file.is_file() and os.access(file, os.R_OK) else None


LISTS = {
    "series": "series show", "forecasts": "forecast list", "sites": "site list", "feeds": "feed list", "events": "event list",
    "outages": "outage list", "pins": "pin list", "awards": "award list", "difficulty-steps": "difficulty list",
    "keys": "key list", "plans": "plan list",
}  # fmt: skip
"""By resource, the command that lists what there is."""


def _lists(path: str) -> str | None:
    return LISTS.get(path.split("/")[2]) if path.startswith("/v1/") else None


def refusal(answer: httpx.Response) -> CommandError:
    """Return the error that a problem document tells of."""
    try:
        problem = answer.json()
    except json.JSONDecodeError:
        problem = {}
    errors = problem.get("errors", [])
    detail = problem.get("title" if errors else "detail") or problem.get("title") or answer.reason_phrase
    what = f"{answer.request.method} {answer.request.url.path}: {detail}"
    if answer.status_code == 404 and (command := _lists(answer.request.url.path)):
        return bad_input(f"{what} By `wattsplit {command}` you see what there is.")
    if answer.status_code in (401, 403):
        return CommandError(Exit.FAILED, f"{what.rstrip('.')}; give a key with the right role in WATTSPLIT_KEY")
    if answer.status_code in (400, 404, 409, 412, 413, 415, 422):
        return bad_input(what, errors)
    return CommandError(Exit.FAILED, f"{what} ({answer.status_code})")
