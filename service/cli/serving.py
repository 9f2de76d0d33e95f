"""The service as a person runs it: starts, tells what happens, and leaves nothing behind."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

from service.app import create_app, release
from service.cli.exits import CommandError, Exit
from service.cli.first_start import Welcome, welcome
from service.cli.progress import Lines, bar, words
from service.cli.say import Say
from service.cli.tables import headline, show_plan
from service.config import Settings, refuse_unsafe
from service.http.server import create
from service.store.records import Publication
from service.web.routes import page_routes
from service.wiring import assemble

LOOK_EVERY_S = 0.25
LOOK_AGAIN_S = 5.0
"""After something went wrong in telling what happens."""
STOPPING = (signal.SIGINT, signal.SIGTERM)
_log = structlog.get_logger("wattsplit.serve")


class Serving:
    """One run of the service. Nothing listens before `until_stopped`."""

    def __init__(self, settings: Settings, say: Say, *, load_reference: bool) -> None:
        self.settings, self.say = settings, say
        log_to_stderr(settings.log_level)
        os.umask(0o077)
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
        self.service = assemble(settings, load_reference=load_reference)
        self.stop = threading.Event()
        self.known: Mapping[str, Any] = {}
        self.began = time.monotonic()
        self.has_shown_a_plan = False

    def until_stopped(self) -> None:
        """Serve until Ctrl-C or SIGTERM; when this returns, no thread, child or socket is left.

        Raises:
            CommandError: the address is taken.
            UnsafeSettingsError: strangers could reach the service.
        """
        services = self.service.services
        try:
            greeting = welcome(self.settings, services.keyring)
            refuse_unsafe(self.settings, any_key=services.store.keys.any_live(services.now()))
            with listening(self, greeting), stopped_by_signals(self.stop):
                self.service.desk.watch = self._hear
                self.service.start()
                try:
                    self._tell()
                finally:
                    self.say.note("stopping …")
        finally:
            self.service.stop()

    def _hear(self, progress: Mapping[str, Any]) -> None:
        self.known = dict(progress)

    def _tell(self) -> None:
        """Tell of every publication as it comes, and draw the bar of a running optimisation."""
        told = 0
        while not self.stop.wait(LOOK_EVERY_S):
            try:
                with self.service.store.hurrying():  # whoever asks for the end does not wait for what holds the store
                    told = self._look(told)
            except Exception as error:  # what cannot be told now is no reason to stop serving
                _log.error("not told", words=f"{type(error).__name__}: {error}"[:500])
                self.stop.wait(LOOK_AGAIN_S)

    def _look(self, told: int) -> int:
        """Tell of what is newer than a version, and return the newest version."""
        newest = self.service.store.publications.newest()
        if newest is not None and newest.version > told:
            told, first = newest.version, told == 0
            self._tell_of(newest, first=first)
        if self.known:
            self._draw(told)
        return told

    def _draw(self, told: int) -> None:
        """Show the running optimisation until something is published or it falls silent."""
        if self.say.quiet:
            self.known = {}
            return
        budget_s = self.settings.budget_s
        if not self.say.err.is_terminal:
            lines = Lines(self.say, "optimising")
            while self._goes_on(told):
                lines(self.known)
            return
        with bar(self.say.err) as progress:
            task = progress.add_task("optimising", total=budget_s, known="")
            while self._goes_on(told):
                progress.update(task, completed=min(budget_s, self.known.get("seconds") or 0.0), known=words(self.known))

    def _goes_on(self, told: int) -> bool:
        """Whether the optimisation that was heard of still runs; looks a few times a second."""
        before = self.known
        for _ in range(20):
            newest = self.service.store.publications.newest()
            if self.stop.wait(LOOK_EVERY_S) or (newest is not None and newest.version > told) or "ending" in self.known:
                break
            if self.known is not before:
                return True
        self.known = {}
        return False

    def _tell_of(self, publication: Publication, *, first: bool) -> None:
        """Print the first set-points in a line, an optimised plan as a table the first time, later ones in a line."""
        plan = self.service.store.plans.get(publication.plan_id)
        if plan is None or self.say.quiet:
            return
        if first:
            age_s = time.monotonic() - self.began
            self.say.note(f"{publication.sites} sites can fetch set-points, {age_s:.1f} s after the start")
        if plan.basis == "optimised" and not self.has_shown_a_plan:
            self.has_shown_a_plan = True
            show_plan(plan, self.say.out)
        else:
            self.say.out.print(
                f"[b]version {publication.version}[/b] ({publication.occasion.split('-')[0]}): {headline(plan)[1]}"
            )
        sys.stdout.flush()


@contextmanager
def listening(serving: Serving, greeting: Welcome) -> Iterator[None]:
    """Serve HTTP in a thread while the block runs.

    Raises:
        CommandError: the address is taken or not ours.
    """
    settings, services = serving.settings, serving.service.services
    app = create_app(services, page_routes(services, release=release()))
    try:
        server = create(app, settings, services.store.publications.stop_waiting)
    except OSError as error:
        raise CommandError(
            Exit.FAILED, f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another by --port"
        ) from None
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    greeting.show(f"http://{settings.host}:{server.effective_port}", serving.say)
    try:
        yield
    finally:
        with suppress(Exception):  # whatever a closing socket has to say, the rest is stopped all the same
            server.close()
        thread.join(5)


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for the end, once politely; a second Ctrl-C does not wait."""

    def ask(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_to_stderr(level: str) -> None:
    """Send what is of that level or worse to standard error, as lines for people on a terminal and as JSON elsewhere.

    What libraries have to say is of no use to anybody below a warning.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    last = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
