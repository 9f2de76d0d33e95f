"""A real service with the reference fleet's rule plan, a real Chromium, and pages that must not make a sound."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from service.app import create_app
from service.config import Settings
from service.http.server import create
from service.store.records import Role
from service.web.routes import page_routes
from service.wiring import Service, assemble

START_S = 30_000
"""Longest wait for anything on the page [ms]: machines of CI are slow."""


class Place:
    """A service that listens: its address, what stands behind it, and its API as a reader sees it."""

    def __init__(self, address: str, behind: Service) -> None:
        self.address, self.behind = address, behind

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=30) as answer:
            return json.load(answer)

    @property
    def plan(self) -> Any:
        """The plan that sites are served, as the API gives it."""
        return self.get(f"/v1/plans/{self.get('/v1/now')['plan_id']}")

    def sign_in_link(self, role: Role = "operator") -> str:
        keyring = self.behind.services.keyring
        record, _ = keyring.issue(role, label="browser test", by="test")
        return f"{self.address}/sign-in?token={keyring.sign_in_token(record.key_id)}"


@contextmanager
def listening(folder: Path) -> Iterator[Place]:
    """Serve the reference fleet from an empty store; nothing plans by itself."""
    settings = Settings(data_dir=str(folder), port=0)
    behind = assemble(settings)
    server = create(create_app(behind.services, page_routes(behind.services, release="0.0.0")), settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert behind.leadership.lead()
        yield Place(f"http://127.0.0.1:{server.effective_port}", behind)
    finally:
        server.close()
        thread.join(10)
        behind.stop()


@pytest.fixture(scope="session")
def place(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The reference fleet with its rule plan published; nothing is served where no browser would look."""
    with listening(tmp_path_factory.mktemp("store")) as found:
        found.behind.planner.publish_rule("start")
        yield found


@pytest.fixture(scope="session")
def busy_place(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The reference fleet with its rule plan published, and workers that do what is asked."""
    with listening(tmp_path_factory.mktemp("busy")) as found:
        found.behind.planner.publish_rule("start")
        found.behind.runner.start()
        yield found


@pytest.fixture
def fresh_place(chromium: str, tmp_path: Path) -> Iterator[Place]:
    """The reference fleet without any plan."""
    with listening(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address in a context of its own; no page may log, fail, or ask anything of another host."""
    heard: list[str] = []
    contexts = []

    def opened(address: str, **context: Any) -> Page:
        made = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | context))
        contexts.append(made)
        page = made.new_page()
        page.set_default_timeout(START_S)
        own = "/".join(address.split("/")[:3])
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda asked: None if asked.url.startswith(own) else heard.append(f"outside: {asked.url}"))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert heard == []
