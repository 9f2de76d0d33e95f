"""The reference client believes nothing: it obeys what holds, rejects what does not, and is safe by itself."""

import json
from datetime import timedelta

import httpx
import pytest
from seams.fleets import NOON, post_series, small_fleet
from seams.simulation import Simulation, simulation

from models.digest import digest
from models.setpoint import SetPoint
from service.app import create_app
from service.documents import sealed
from service.site_client import HttpLink, SiteClient

MIN = timedelta(minutes=1)


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Simulation:
    """A service with three sites, whose plan is published."""
    made = simulation(
        tmp_path_factory.mktemp("client"), small_fleet(3), NOON + 5 * MIN, ambient=lambda _n, _at: 15.0, horizon_h=6
    )
    post_series(made.store, NOON, 80)
    made.service.desk.turn()
    made.clock.at = NOON + 6 * MIN
    yield made
    made.close()


@pytest.fixture
def over_http(planned):
    """The clients of a site, over HTTP with a key: `over_http("pecos")`."""
    app = create_app(planned.service.services)
    opened = []

    def client(site: str, key_of: str | None = None) -> SiteClient:
        key = planned.service.services.keyring.issue("controller", label=site, by="test", sites=(key_of or site,))[1]
        link = httpx.Client(
            transport=httpx.WSGITransport(app), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {key}"}
        )
        opened.append(link)
        facts = {s.name: s for s in small_fleet(3).sites}
        return SiteClient(facts[site], HttpLink(link, site), planned.plants[site], planned.clock)

    yield client
    for link in opened:
        link.close()


def test_a_site_polls_obeys_acknowledges_and_reports_over_http(planned, over_http):
    client = over_http("pecos")
    client.step(report=True)
    assert client.rejected == []
    document = planned.store.publications.setpoint("pecos")
    assert client.document == document
    assert [a.state for a in planned.store.acknowledgements.history("pecos", document.version)] == ["accepted", "applied"]
    told = next(s for s in reversed(document.steps) if s.start <= planned.clock())
    stored = planned.store.telemetry.newest("pecos").point
    assert sum(stored.mode_blocks["row"].values()) == sum(told.mode_blocks["row"].values())
    assert stored.nodes_on == told.nodes_on
    assert not client.poll(), "304: nothing new, nothing done"


def test_a_key_of_another_site_gets_no_document(planned, over_http):
    client = over_http("abilene", key_of="pecos")
    with pytest.raises(OSError, match="404"):
        client.poll()


class Says:
    """A link that hands out one document, whatever it is."""

    def __init__(self, document: SetPoint) -> None:
        self.document, self.told = document, []

    def fetch(self, etag):
        return self.document.digest, self.document.model_dump_json().encode()

    def acknowledge(self, version, revision, state, at, detail):
        self.told.append((version, state, detail))

    def report(self, points):
        pass


def changed(document: SetPoint, **update) -> SetPoint:
    return sealed(document.model_copy(update=update))


def with_step(document: SetPoint, **update) -> SetPoint:
    first, *rest = document.steps
    return changed(document, steps=(first.model_copy(update=update), *rest))


TAMPERED = {
    "digest": (lambda d: d.model_copy(update={"version": d.version + 1}), "its digest is"),
    "site": (lambda d: changed(d, site="abilene"), "is for abilene"),
    "older version": (lambda d: changed(d, version=d.version - 1), "does not follow"),
    "same version, same rung": (lambda d: changed(d, revision=1, issued=d.issued + MIN), "does not follow"),
    "older epoch": (lambda d: changed(d, version=d.version + 1, epoch=d.epoch - 1), "does not follow"),
    "over": (lambda d: changed(d, valid_until=NOON), "it ended at"),
    "above its limit": (lambda d: with_step(d, draw_w=d.steps[0].limit_w + 1), "draws"),
    "limit above the connection": (lambda d: with_step(d, limit_w=10**9), "above the connection's"),
    "blocks that are not there": (lambda d: with_step(d, mode_blocks={"row": {"eco": 99}}), "99 blocks of row"),
    "a mode that is not there": (lambda d: with_step(d, mode_blocks={"row": {"warp": 1}}), "unknown group or mode"),
    "nodes that are not there": (lambda d: with_step(d, nodes_on={"h100": 99}), "99 nodes of h100"),
    "a gap": (lambda d: with_step(d, duration_s=61), "a gap or overlap"),
    "not audited": (lambda d: changed(d, audit_passed=False), "without a passed audit"),
    "a jump": (
        lambda d: changed(
            d, reasons=(), steps=(*d.steps[:-1], d.steps[-1].model_copy(update={"draw_w": 0, "duration_s": 3600}),),
            valid_until=d.steps[-1].start + MIN, ramp_w_per_min=1,
        ),
        "ramp allows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
def test_a_document_that_does_not_hold_is_rejected_in_words(planned, how):
    document = planned.store.publications.setpoint("pecos")
    site = planned.service.store.fleets.newest().fleet.site_by_name["pecos"]
    if how == "a jump":
        site = site.model_copy(update={"ramp_w_per_min": 1})
    client = SiteClient(site, Says(document), planned.plants["pecos"], planned.clock)
    tamper, words = TAMPERED[how]
    if how != "a jump":
        assert client.poll()
    client.link = Says(tamper(document))
    assert not client.poll()
    assert any(words in fault for fault in client.rejected), client.rejected
    if how != "a jump":
        assert client.document == document, "the one before stays in force"
    if how != "site":
        assert [state for _, state, _ in client.link.told] == ["rejected"]


def test_a_document_of_a_release_that_told_nothing_of_reserves_is_taken(planned):
    document = planned.store.publications.setpoint("pecos")
    content = document.model_dump(mode="json", exclude={"digest": True, "steps": {"__all__": {"reserve_kw"}}})
    raw = json.dumps(content | {"digest": digest(content)}).encode()
    link = Says(document)
    link.fetch = lambda etag: ("an old one", raw)
    site = planned.service.store.fleets.newest().fleet.site_by_name["pecos"]
    client = SiteClient(site, link, planned.plants["pecos"], planned.clock)
    assert client.poll(), client.rejected
    assert client.document.steps == document.steps


def test_a_site_that_is_only_advised_keeps_its_hands_off(planned):
    document = changed(planned.store.publications.setpoint("pecos"), authority="advise")

    class Untouched:
        """A plant that nobody may command."""

    client = SiteClient(small_fleet(1).sites[0], Says(document), Untouched(), planned.clock)
    client.step()
    assert client.document == document
    assert [state for _, state, _ in client.link.told] == ["accepted"]


def test_a_stand_in_of_a_lower_rung_keeps_its_version_and_is_taken(planned):
    document = planned.store.publications.setpoint("pecos")
    client = SiteClient(small_fleet(1).sites[0], Says(document), planned.plants["pecos"], planned.clock)
    assert client.poll()
    later = {"basis": "last_good", "issued": document.issued + MIN}
    client.link = Says(changed(document, **later))
    assert not client.poll(), "no two documents have the same number"
    client.link = Says(changed(document, revision=3, **later))
    assert client.poll()
    client.link = Says(changed(document, revision=2, basis="last_good", issued=document.issued + 2 * MIN))
    assert not client.poll()
    assert any(f"version {document.version}.2 of" in fault for fault in client.rejected)


def test_a_site_that_hears_nothing_fails_safe_when_its_document_ends_and_comes_back(planned):
    document = planned.store.publications.setpoint("pecos")
    plant = planned.plants["pecos"]
    client = SiteClient(small_fleet(1).sites[0], Says(document), plant, planned.clock)
    client.step()
    then = planned.clock.at
    try:
        planned.clock.at = document.valid_until - MIN
        client.obey()
        assert not client.failing_safe
        planned.clock.at = document.valid_until
        client.obey()
        assert client.failing_safe
        on = sum(b.mode is not None for b in plant.blocks["row"])
        assert on == sum(document.failsafe.mode_blocks["row"].values())
    finally:
        planned.clock.at = then


def test_what_was_not_reported_is_reported_later(planned):
    link = planned.links["massena"]
    client = planned.clients["massena"]
    before = planned.store.telemetry.count("massena")
    link.down = True
    client.step(report=True)
    planned.clock.at += MIN
    client.step(report=True)
    assert planned.store.telemetry.count("massena") == before
    link.down = False
    planned.clock.at += MIN
    client.step()
    assert planned.store.telemetry.count("massena") == before + 2
