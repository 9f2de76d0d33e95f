"""A problem file is complete or refused: each fault named by its place, in words, all at once."""

import copy
import json

import pytest

from models.problem import Problem
from models.reading import BadInputError, parse, parse_json, parse_yaml

GOOD = {
    "name": "two-hours-at-pecos",
    "grid": {"start": "2026-11-22T08:00:00Z", "step_s": [3600, 3600]},
    "fleet": {
        "name": "small",
        "sites": [
            {
                "name": "pecos",
                "region": "us",
                "country": "US",
                "zone": "America/Chicago",
                "ambient": "west-texas",
                "connection_limit_w": 30_000_000,
                "contract": {"kind": "index", "index": "ERCOT_WEST"},
                "asic_groups": [
                    {
                        "name": "s19",
                        "model": "S19 XP",
                        "blocks": 10,
                        "miners_per_block": 200,
                        "modes": [{"name": "normal", "miner_power_w": 3010, "miner_hash_th_per_s": 140.0}],
                        "sleep_power_w": 25,
                    }
                ],
                "gpu_pools": [
                    {
                        "name": "h100",
                        "gpu_type": "8xH100",
                        "nodes": 4,
                        "node_fixed_w": 9000,
                        "throughput_tokens_per_s": {"llama-70b": 12_000},
                    }
                ],
            }
        ],
        "workloads": [
            {
                "kind": "interactive",
                "name": "chat",
                "model": "llama-70b",
                "price_usd_per_mwork": 0.32,
                "routing_usd_per_mwork": {"us": 0.0},
                "unserved_usd_per_mwork": 0.5,
            }
        ],
    },
    "hashprice_usd_per_ph_day": [39.5, 39.5],
    "prices_usd_per_mwh": {"ERCOT_WEST": [31.0, -4.0]},
    "ambient_c": {"west-texas": [18.0, 17.0]},
    "demand_work_per_h": {"chat": [43_200_000, 40_000_000]},
    "state": {
        "at": "2026-11-22T08:00:00Z",
        "sites": {
            "pecos": {
                "draw_w": 50_000,
                "groups": {"s19": {}},
                "pools": {"h100": {}},
                "as_of": "2026-11-22T07:58:00Z",
            }
        },
    },
}
DELETE = object()
PECOS = ("fleet", "sites", 0)
S19 = (*PECOS, "asic_groups", 0)
STATE = ("state", "sites", "pecos")

FAULTS = {
    # label: (place, value to put there, pointer of the refusal, words that must stand in it)
    "NaN price": (("prices_usd_per_mwh", "ERCOT_WEST", 1), float("nan"), "/prices_usd_per_mwh/ERCOT_WEST/1", "NaN"),
    "infinite price": (("prices_usd_per_mwh", "ERCOT_WEST", 1), float("inf"), "/prices_usd_per_mwh/ERCOT_WEST/1", "Infinity"),
    "price as text": (("prices_usd_per_mwh", "ERCOT_WEST", 1), "31", "/prices_usd_per_mwh/ERCOT_WEST/1", "number"),
    "price as truth": (("prices_usd_per_mwh", "ERCOT_WEST", 0), True, "/prices_usd_per_mwh/ERCOT_WEST/0", "number"),
    "missing value": (("prices_usd_per_mwh", "ERCOT_WEST", 1), None, "/prices_usd_per_mwh/ERCOT_WEST/1", "number"),
    "price in USD per GWh": (
        ("prices_usd_per_mwh", "ERCOT_WEST"),
        [31_000.0, 30_000.0],
        "/prices_usd_per_mwh/ERCOT_WEST/0",
        "less than or equal to 20000",
    ),
    "hashprice per EH": (("hashprice_usd_per_ph_day", 0), 39_500.0, "/hashprice_usd_per_ph_day/0", "5000"),
    "negative hashprice": (("hashprice_usd_per_ph_day", 0), -1.0, "/hashprice_usd_per_ph_day/0", "greater than"),
    "missing step": (("prices_usd_per_mwh", "ERCOT_WEST"), [31.0], "", "first missing step starts 2026-11-22T09:00:00Z"),
    "one step too many": (("hashprice_usd_per_ph_day",), [39.5] * 3, "", "expected 2 values, one per step, got 3"),
    "empty series": (("hashprice_usd_per_ph_day",), [], "/hashprice_usd_per_ph_day", "at least 1 item"),
    "missing index": (("prices_usd_per_mwh",), {"OTHER": [1.0, 1.0]}, "", "prices_usd_per_mwh: missing ['ERCOT_WEST']"),
    "missing temperature": (("ambient_c",), {}, "", "ambient_c: missing ['west-texas']"),
    "temperature in Fahrenheit": (("ambient_c", "west-texas", 0), 104.0, "/ambient_c/west-texas/0", "60"),
    "missing demand": (("demand_work_per_h",), {}, "", "demand_work_per_h: missing ['chat']"),
    "demand of nobody": (("demand_work_per_h", "voice"), [1, 1], "", "demand_work_per_h: unknown ['voice']"),
    "negative demand": (("demand_work_per_h", "chat", 0), -5, "/demand_work_per_h/chat/0", "greater than or equal to 0"),
    "fractional tokens": (("demand_work_per_h", "chat", 0), 0.5, "/demand_work_per_h/chat/0", "integer"),
    "limit of unknown site": (("limit_w",), {"laredo": [1, 1]}, "", "limit_w: unknown ['laredo']"),
    "limit in MW": (("limit_w",), {"pecos": [1.5, 1.5]}, "/limit_w/pecos/0", "integer"),
    "negative blocks": ((*S19, "blocks"), -1, "/fleet/sites/0/asic_groups/0/blocks", "greater than 0"),
    "miner in kW": (
        (*S19, "modes", 0, "miner_power_w"),
        3.01,
        "/fleet/sites/0/asic_groups/0/modes/0/miner_power_w",
        "integer",
    ),
    "connection in kW": ((*PECOS, "connection_limit_w"), 30_000, "/fleet/sites/0", "expected watts, not kW or MW"),
    "unknown zone": ((*PECOS, "zone"), "America/Texas", "/fleet/sites/0/zone", "expected an IANA zone"),
    "unknown field": ((*PECOS, "colour"), "red", "/fleet/sites/0/colour", "Extra inputs"),
    "contract of no kind": (
        (*PECOS, "contract"),
        {"kind": "gift"},
        "/fleet/sites/0/contract",
        "'fixed', 'index'",
    ),
    "sleeps hotter than it runs": ((*S19, "sleep_power_w"), 4000, "/fleet/sites/0/asic_groups/0", "sleep_power_w"),
    "warm-up longer than min up": ((*S19, "warm_up_s"), 600, "/fleet/sites/0/asic_groups/0", "warm_up_s"),
    "region without a site": (
        ("fleet", "workloads", 0, "routing_usd_per_mwork"),
        {"mars": 0.0},
        "/fleet",
        "regions without a site: ['mars']",
    ),
    "two changes of the difficulty at once": (
        ("difficulty_steps",),
        [{"at": "2026-11-22T09:00:00Z", "change_share": share} for share in (0.02, 0.03)],
        "",
        "difficulty_steps: expected one change at an instant, got more at ['2026-11-22T09:00:00Z']",
    ),
    "a change of the difficulty in per cent": (
        ("difficulty_steps",),
        [{"at": "2026-11-22T09:00:00Z", "change_share": 4.2}],
        "/difficulty_steps/0/change_share",
        "less than or equal to 3",
    ),
    "residency that no site has": (
        ("fleet", "workloads", 0, "countries"),
        ["OM"],
        "/fleet",
        "workload chat: expected a site that may serve it, got none for regions ['us'], countries ['OM']",
    ),
    "country in words": (
        ("fleet", "workloads", 0, "countries"),
        ["Oman"],
        "/fleet/workloads/0/interactive/countries/0",
        "two capital letters such as US",
    ),
    "latency that no table tells": (
        ("fleet", "workloads", 0, "latency"),
        {"users": "gulf", "most_ms": 40},
        "/fleet",
        "workload chat: expected latency_ms.gulf for its regions, missing ['us']",
    ),
    "naive start": (("grid", "start"), "2026-11-22T08:00:00", "/grid/start", "naive"),
    "start as a number": (("grid", "start"), 1_795_334_400, "/grid/start", "expected an ISO 8601 instant"),
    "step of no length": (("grid", "step_s", 0), 0, "/grid/step_s/0", "60"),
    "no steps": (("grid", "step_s"), [], "/grid/step_s", "at least 1"),
    "23-hour day with 24 steps": (
        ("grid",),
        {
            "start": "2026-03-08T06:00:00Z",
            "step_s": [3600] * 24,
            "local_days": {"zone": "America/Chicago", "first": "2026-03-08", "days": 1},
        },
        "/grid",
        "(23 h)",
    ),
    "25-hour day with 24 steps": (
        ("grid",),
        {
            "start": "2026-11-01T05:00:00Z",
            "step_s": [3600] * 24,
            "local_days": {"zone": "America/Chicago", "first": "2026-11-01", "days": 1},
        },
        "/grid",
        "(25 h)",
    ),
    "site without state": (("state", "sites"), {}, "", "state.sites: missing ['pecos']"),
    "state of unknown site": (("state", "sites", "laredo"), GOOD["state"]["sites"]["pecos"], "", "unknown ['laredo']"),
    "state without its group": ((*STATE, "groups"), {}, "", "state.sites.pecos.groups: missing ['s19']"),
    "more blocks run than exist": (
        (*STATE, "groups", "s19"),
        {"mode_blocks": {"normal": 11}, "started": [{"count": 11, "since": "2026-11-22T01:00:00Z"}]},
        "",
        "11 blocks run, the group has 10",
    ),
    "undated blocks": (
        (*STATE, "groups", "s19"),
        {"mode_blocks": {"normal": 2}},
        "/state/sites/pecos/groups/s19",
        "start times of 2 running blocks, got 0",
    ),
    "unknown mode in state": (
        (*STATE, "groups", "s19"),
        {"mode_blocks": {"warp": 1}, "started": [{"count": 1, "since": "2026-11-22T01:00:00Z"}]},
        "",
        "unknown ['warp']",
    ),
    "state from the future": (("state", "at"), "2026-11-22T08:00:01Z", "", "state.at"),
    "started in the future": (
        (*STATE, "pools", "h100"),
        {"started": [{"count": 1, "since": "2026-11-22T09:00:00Z"}]},
        "",
        "dated after the grid's start",
    ),
    "order for unknown site": (
        ("orders",),
        [{"name": "o1", "site": "laredo", "start": "2026-11-22T08:00:00Z", "limit_w": 0}],
        "",
        "o1 is for unknown site laredo",
    ),
    "order that ends before it starts": (
        ("orders",),
        [
            {
                "name": "o1",
                "site": "pecos",
                "start": "2026-11-22T08:00:00Z",
                "end": "2026-11-22T07:00:00Z",
                "limit_w": 0,
            }
        ],
        "/orders/0",
        "expected end after start",
    ),
    "missing fleet": (("fleet",), DELETE, "/fleet", "Field required"),
    "two sites of one name": (("fleet", "sites"), [GOOD["fleet"]["sites"][0]] * 2, "/fleet", "['pecos'] twice"),
}


def broken(place, value):
    content = copy.deepcopy(GOOD)
    holder = content
    for key in place[:-1]:
        holder = holder[key]
    if value is DELETE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return json.dumps(content).encode()


def read(raw):
    return parse(Problem, parse_json(raw))


def test_the_good_file_is_read_and_written_without_loss():
    problem = read(json.dumps(GOOD).encode())
    again = Problem.model_validate_json(problem.model_dump_json())
    assert again == problem
    assert again.digest == problem.digest


@pytest.mark.parametrize("label", FAULTS)
def test_a_faulty_file_is_refused_in_words(label):
    place, value, pointer, words = FAULTS[label]
    with pytest.raises(BadInputError) as refused:
        read(broken(place, value))
    assert any(r.pointer == pointer and words in r.detail for r in refused.value.refusals), refused.value


def test_all_faults_are_told_at_once():
    content = json.loads(broken(("grid", "start"), 0))
    content["hashprice_usd_per_ph_day"][0] = "much"
    with pytest.raises(BadInputError) as refused:
        read(json.dumps(content).encode())
    assert {"/grid/start", "/hashprice_usd_per_ph_day/0"} <= {r.pointer for r in refused.value.refusals}


DOCUMENTS = {
    "empty": (b"", "empty"),
    "blank": (b"  \n", "empty"),
    "not JSON": (b'{"name": }', "malformed_json"),
    "cut short": (b'{"name": "x"', "malformed_json"),
    "not UTF-8": (b'{"name": "\xff"}', "not_utf8"),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), "not_utf8"),
    "100,000 brackets": (b"[" * 100_000, "too_deep"),
    "100,000 braces": (b'{"a":' * 100_000, "too_deep"),
    "a key twice": (b'{"name": "x", "name": "y"}', "duplicate_key"),
    "beyond floats": (b'{"name": 1e999}', "not_finite"),
    "beyond integers": (b'{"name": ' + b"9" * 5000 + b"}", "not_finite"),
    "NaN": (b"[NaN]", "not_finite"),
    "minus infinity": (b"[-Infinity]", "not_finite"),
}


@pytest.mark.parametrize("label", DOCUMENTS)
def test_a_document_that_is_not_json_is_refused(label):
    raw, code = DOCUMENTS[label]
    with pytest.raises(BadInputError) as refused:
        parse_json(raw)
    assert [r.code for r in refused.value.refusals] == [code]


def test_a_huge_file_is_refused_by_its_size_before_it_is_read():
    with pytest.raises(BadInputError, match="expected at most 1000 bytes, got 1001"):
        parse_json(b" " * 1001, max_bytes=1000)


YAML_DOCUMENTS = {
    "an alias": (b"a: &x 1\nb: *x", "yaml_alias"),
    "a bomb": (b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "yaml_alias"),
    "a Python object": (b"a: !!python/object/apply:os.system ['true']", "malformed_yaml"),
    "a key twice": (b"a: 1\na: 2", "duplicate_key"),
    "nested": (b"[" * 1000, "too_deep"),
    "not YAML": (b"a: [1", "malformed_yaml"),
    "NaN": (b"a: .nan", "not_finite"),
    "empty": (b"", "empty"),
}


@pytest.mark.parametrize("label", YAML_DOCUMENTS)
def test_yaml_is_read_no_less_strictly(label):
    raw, code = YAML_DOCUMENTS[label]
    with pytest.raises(BadInputError) as refused:
        parse(Problem, parse_yaml(raw))
    assert code in [r.code for r in refused.value.refusals]


def test_yaml_and_json_give_the_same_problem():
    raw = json.dumps(GOOD).encode()
    assert parse(Problem, parse_yaml(raw)) == read(raw)


def test_prices_that_look_like_usd_per_kwh_are_pointed_out():
    problem = read(broken(("prices_usd_per_mwh", "ERCOT_WEST"), [0.031, 0.029]))
    assert "unit_suspicious: prices_usd_per_mwh.ERCOT_WEST" in problem.warnings()[0]
    assert read(broken(("prices_usd_per_mwh", "ERCOT_WEST"), [0.0, 0.0])).warnings() == []


def test_a_state_of_long_ago_is_pointed_out():
    assert read(json.dumps(GOOD).encode()).warnings() == []
    old = read(broken(("state", "at"), "2026-11-01T08:00:00Z")).warnings()
    assert old == ["state_old: state.at: 2026-11-01T08:00:00Z is 21 days before the grid's start 2026-11-22T08:00:00Z"]
    silent = read(broken(("state", "sites", "pecos", "as_of"), "2026-11-14T07:00:00Z")).warnings()
    assert [words.split(" is ")[0] for words in silent] == ["state_old: state.sites.pecos.as_of: 2026-11-14T07:00:00Z"]
