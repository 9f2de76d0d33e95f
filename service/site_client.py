"""A reference client of one site: polls, checks, obeys, acknowledges, reports; and fails safe by itself.

Believe nothing: a document counts only if its digest, site, version, times, limits and counts hold. What does not hold is
rejected in words, and the document before it stays in force until it ends. When none is in force any more, the site does
what the last one said for that case.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx

from models.digest import digest
from models.plan import Basis
from models.reading import BadInputError, parse, parse_json
from models.setpoint import FailSafe, SetPoint, SetPointStep
from models.site import Site
from service.documents import failsafe
from service.store.records import AckState, TelemetryPoint

RUNGS: tuple[Basis, ...] = ("optimised", "last_good", "rule", "safe")
TRIES = 3


class Plant(Protocol):
    """What obeys: the machines of a site, real or simulated."""

    def apply(self, step: SetPointStep, at: datetime) -> None:
        """Carry out one step."""
        ...

    def fail_safe(self, told: FailSafe, at: datetime) -> None:
        """Do what is right when nobody says anything."""
        ...

    def measure(self, at: datetime) -> TelemetryPoint:
        """Return what the meters show."""
        ...


class Link(Protocol):
    """The way to the service."""

    def fetch(self, etag: str | None) -> tuple[str | None, bytes | None]:
        """Return the current document's ETag and bytes; no bytes where it is the one that is known.

        Raises:
            OSError: the service does not answer.
        """
        ...

    def acknowledge(self, version: int, revision: int, state: AckState, at: datetime, detail: str) -> None:
        """Tell what became of a version, or of what was made on the spot in its stead."""
        ...

    def report(self, points: list[TelemetryPoint]) -> None:
        """Post measured points; on return they are kept."""
        ...


class HttpLink:
    """The API of a service, with the key of one site."""

    def __init__(self, client: httpx.Client, site: str) -> None:
        self._client, self._root = client, f"/v1/sites/{site}"

    def fetch(self, etag: str | None) -> tuple[str | None, bytes | None]:
        """Return the current document's ETag and bytes; no bytes where it is the one that is known."""
        answer = self._send("GET", "/setpoints", headers={"If-None-Match": etag} if etag else {})
        if answer.status_code == 304:
            return etag, None
        _ok(answer)
        return answer.headers.get("ETag"), answer.content

    def acknowledge(self, version: int, revision: int, state: AckState, at: datetime, detail: str) -> None:
        """Tell what became of a version, or of what was made on the spot in its stead."""
        body = {"version": version, "revision": revision, "state": state, "at": at.isoformat(), "detail": detail}
        _ok(self._send("POST", "/acknowledgements", json=body))

    def report(self, points: list[TelemetryPoint]) -> None:
        """Post measured points; on return they are kept."""
        _ok(self._send("POST", "/telemetry", json={"points": [p.model_dump(mode="json") for p in points]}))

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return self._client.request(method, self._root + path, **content)
        except httpx.TransportError as error:
            raise ConnectionError(str(error)) from error


def _ok(answer: httpx.Response) -> None:
    if not answer.is_success:
        raise ConnectionError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")


@dataclass
class SiteClient:
    """One controller. `step` does one round; call it every minute or so, and at every full hour."""

    site: Site
    link: Link
    plant: Plant
    now: Callable[[], datetime]
    document: SetPoint | None = None
    rejected: list[str] = field(default_factory=list)
    failing_safe: bool = False
    _etag: str | None = None
    _applied: SetPointStep | None = None
    _following: str | None = None
    _unsent: list[TelemetryPoint] = field(default_factory=list)

    def step(self, *, report: bool = False) -> None:
        """Poll, obey and, if asked, report; a service that does not answer changes nothing but the document's age."""
        try:
            self.poll()
        except OSError:
            self._etag = None
        self.obey()
        if report:
            self._unsent.append(self.plant.measure(self.now()))
        if self._unsent:
            try:
                self.link.report(self._unsent)
            except OSError:
                return  # kept for the next round
            self._unsent = []

    def poll(self) -> bool:
        """Fetch the current document and take it over if it holds; return whether it did."""
        etag, raw = self.link.fetch(self._etag)
        if raw is None:
            return False
        try:
            content = parse_json(raw, max_bytes=1 << 20)
            offered = parse(SetPoint, content)
        except BadInputError as error:
            self.rejected.append(str(error))
            return False
        self._etag = etag
        faults = [*digest_faults(content), *self.faults(offered)]
        if faults:
            self.rejected += faults
            if offered.site == self.site.name:
                self._acknowledge(offered, "rejected", "; ".join(faults)[:1900])
            return False
        if self.document is not None and offered.digest == self.document.digest:
            return False
        self.document = offered
        self._acknowledge(offered, "accepted")
        return True

    def obey(self) -> None:
        """Carry out the step that is in force, once; without a document in force, fail safe, once.

        A site that is only advised keeps its hands off its machines, whatever it hears or does not hear.
        """
        now, document = self.now(), self.document
        if (document.authority if document else self.site.authority) == "advise":
            return
        if document is None or not document.valid_from <= now < document.valid_until:
            if not self.failing_safe:
                told = document.failsafe if document else failsafe(self.site, self.site.connection_limit_w, timedelta(0))
                self.plant.fail_safe(told, now)
            self.failing_safe, self._applied = True, None
            return
        self.failing_safe = False
        step = max((s for s in document.steps if s.start <= now), key=lambda s: s.start)
        wanted = step.model_copy(update={"duration_s": 0})
        if wanted != self._applied:  # a newer document that leads in the step being carried out changes nothing
            self.plant.apply(step, now)
            self._applied = wanted
        if self._following != document.digest:
            self._following = document.digest
            self._acknowledge(document, "applied")

    def faults(self, offered: SetPoint) -> list[str]:
        """Return what is wrong with a document, in words."""
        found = [*self._identity(offered), *self._times(offered)]
        for step in offered.steps:
            found += self._step_faults(step)
        return found + self._ramp(offered)

    def _identity(self, offered: SetPoint) -> list[str]:
        found = []
        if offered.site != self.site.name:
            found.append(f"the document is for {offered.site}")
        if not offered.audit_passed and offered.basis != "safe":
            found.append(f"basis {offered.basis} without a passed audit")
        standing = self.document
        if standing is not None and offered.digest != standing.digest and not self._is_newer(offered, standing):
            found.append(
                f"version {_number(offered)} of {offered.issued} does not follow version {_number(standing)} of {standing.issued}"
            )
        return found

    @staticmethod
    def _is_newer(offered: SetPoint, standing: SetPoint) -> bool:
        """A document that was made on the spot has the version that it stands in for, a later revision and a lower rung."""
        if offered.version != standing.version:
            return offered.version > standing.version and offered.epoch >= standing.epoch
        return offered.revision > standing.revision and offered.issued > standing.issued and RUNGS.index(offered.basis) > 0

    def _times(self, offered: SetPoint) -> list[str]:
        found = []
        now, steps = self.now(), offered.steps
        if not now < offered.valid_until:
            found.append(f"it ended at {offered.valid_until}")
        ends = [s.start + timedelta(seconds=s.duration_s) for s in steps]
        if steps[0].start > offered.valid_from or ends[-1] < offered.valid_until:
            found.append(
                f"its steps run from {steps[0].start} to {ends[-1]}, it holds from {offered.valid_from} to {offered.valid_until}"
            )
        found += [f"a gap or overlap at {b.start}" for end, b in zip(ends, steps[1:], strict=False) if end != b.start]
        return found

    def _step_faults(self, step: SetPointStep) -> list[str]:
        found = []
        at = f"step {step.start:%d %H:%M}"
        if step.draw_w > step.limit_w:
            found.append(f"{at}: draws {step.draw_w} W, limit {step.limit_w} W")
        if step.limit_w > self.site.connection_limit_w:
            found.append(f"{at}: limit {step.limit_w} W above the connection's {self.site.connection_limit_w} W")
        blocks = {g.name: g for g in self.site.asic_groups}
        pools = {p.name: p for p in self.site.gpu_pools}
        for name, modes in step.mode_blocks.items():
            if name not in blocks or set(modes) - {m.name for m in blocks[name].modes}:
                found.append(f"{at}: unknown group or mode {name} {sorted(modes)}")
            elif sum(modes.values()) > blocks[name].blocks:
                found.append(f"{at}: {sum(modes.values())} blocks of {name}, there are {blocks[name].blocks}")
        for name in sorted({*step.nodes_on, *step.nodes_warm}):
            nodes, warm = step.nodes_on.get(name, 0), step.nodes_warm.get(name, 0)
            if name not in pools or nodes + warm > pools[name].nodes:
                found.append(f"{at}: {nodes + warm} nodes of {name}, there are {pools[name].nodes if name in pools else 0}")
            elif warm and pools[name].warm_w is None:
                found.append(f"{at}: {warm} warm nodes of {name}, whose nodes are on or off")
        return found

    def _ramp(self, offered: SetPoint) -> list[str]:
        """Orders and recovery may break the ramp; the document shows them by a lower limit and by its reasons."""
        ramp, full = self.site.ramp_w_per_min, self.site.connection_limit_w
        if ramp is None or any(reason.startswith("recovery") for reason in offered.reasons):
            return []
        found = []
        for a, b in zip(offered.steps, offered.steps[1:], strict=False):
            changed, most = abs(b.draw_w - a.draw_w), ramp * b.duration_s // 60 + 1
            if changed > most and a.limit_w >= full and b.limit_w >= full:
                found.append(f"step {b.start:%d %H:%M}: changes by {changed} W, ramp allows {most} W")
        return found

    def _acknowledge(self, document: SetPoint, state: AckState, detail: str = "") -> None:
        for _ in range(TRIES):
            try:
                self.link.acknowledge(document.version, document.revision, state, self.now(), detail)
                return
            except OSError:
                continue


def digest_faults(content: dict[str, Any]) -> list[str]:
    """Return what is wrong with the digest of a document, as it was sent: whichever release wrote it, with whatever fields."""
    found = digest({name: value for name, value in content.items() if name != "digest"})
    return [] if found == content["digest"] else [f"its digest is {found}, it says {content['digest']}"]


def _number(document: SetPoint) -> str:
    return f"{document.version}.{document.revision}" if document.revision else str(document.version)
