"""A fleet file with templates reads as the fleet that it means; what is wrong in it is said with its place."""

import re
from pathlib import Path

import pytest

from models.fleet import Fleet
from models.reading import BadInputError
from scenarios.fleet_file import as_json, read_fleet, write_fleet
from scenarios.reference import reference_fleet

SCENARIOS = Path(__file__).parents[2] / "scenarios"
TEMPLATE = (SCENARIOS / "template_fleet.yaml").read_bytes()
SMALL = """
name: small
templates:
  row: {model: any, miners_per_block: 10, modes: [{name: on, miner_power_w: 3000, miner_hash_th_per_s: 100}], uptime: 0.9}
sites:
  - {name: yard, region: here, country: US, zone: UTC, ambient: AIR, connection_limit_w: 90000,
     contract: {kind: fixed, price_usd_per_mwh: 40}, asic_groups: [{use: row, name: a, blocks: 3, uptime: 0.8}]}
"""


def test_the_template_for_ones_own_fleet_is_valid_and_shows_every_kind_of_record():
    fleet = read_fleet(TEMPLATE)
    assert {w.kind for w in fleet.workloads} == {"interactive", "batch", "reserved"}
    assert {s.contract.kind for s in fleet.sites} == {"fixed", "index"}
    assert any(s.gpu_pools for s in fleet.sites)
    assert len(TEMPLATE.decode().split("#")) > 40  # it is commented


def test_the_template_names_every_field_of_a_fleet():
    kinds = {"root": Fleet.model_json_schema()} | Fleet.model_json_schema()["$defs"]
    fields = {name for kind in kinds.values() for name in kind.get("properties", {})}
    missing = {name for name in fields if not re.search(rf"\b{name}\b", TEMPLATE.decode())}
    assert not missing, f"a planner who starts from the template never learns of {sorted(missing)}"


def test_a_template_gives_its_fields_and_an_entrys_own_fields_win():
    group = read_fleet(SMALL.replace("name: on,", 'name: "on",').encode()).sites[0].asic_groups[0]
    assert (group.miners_per_block, group.blocks, group.uptime) == (10, 3, 0.8)


@pytest.mark.parametrize("fleet", [reference_fleet(), read_fleet(TEMPLATE)], ids=["reference", "template"])
def test_what_is_exported_is_read_back_the_same(fleet):
    assert read_fleet(write_fleet(fleet).encode()) == fleet
    assert read_fleet(as_json(fleet).encode()) == fleet


@pytest.mark.parametrize(
    ("old", "new", "pointer", "words"),
    [
        ("use: row", "use: rwo", "/sites/0/asic_groups/0/use", "expected one of the templates ['row'], got 'rwo'"),
        ("use: row", "use: [row]", "/sites/0/asic_groups/0/use", "expected one of the templates"),
        ("row: {model: any,", "row: {use: row, model: any,", "/templates/row/use", "cannot use another"),
        ("connection_limit_w: 90000", "connection_limit_w: 90", "/sites/0", "expected watts, not kW or MW"),
        ("connection_limit_w: 90000", "connection_limit_w: .nan", "", "not finite"),
        ("blocks: 3", "blocks: -3", "/sites/0/asic_groups/0/blocks", "greater than 0"),
        ("blocks: 3", 'blocks: "3"', "/sites/0/asic_groups/0/blocks", "integer"),
        ("zone: UTC", "zone: Mars/Olympus", "/sites/0/zone", "expected an IANA zone"),
        ("zone: UTC", "zone: UTC, colour: red", "/sites/0/colour", "Extra inputs"),
        ("name: small", "name: small\nname: small", "", "stands twice"),
        ("name: small", "name: &x small", "", "anchors and aliases"),
        ("name: small\n", "- small\n", "", "not YAML"),
    ],
)
def test_a_faulty_file_is_refused_with_the_place_of_its_fault(old, new, pointer, words):
    text = SMALL.replace("name: on,", 'name: "on",')
    assert old in text
    with pytest.raises(BadInputError) as refused:
        read_fleet(text.replace(old, new, 1).encode())
    assert words in str(refused.value)
    assert refused.value.refusals[0].pointer == pointer


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"just words", b"{", b'{"templates": 3}', b'{"templates": {"a": 3}}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_fleet_at_all_is_refused_too(raw):
    with pytest.raises(BadInputError):
        read_fleet(raw)
