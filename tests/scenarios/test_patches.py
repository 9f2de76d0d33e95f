"""A what-if patch says what it changes, changes that and nothing else, and is refused in words where it makes no sense."""

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.problem import Problem
from models.reading import BadInputError
from models.time_grid import TimeGrid
from scenarios.apply import apply_patches, patchable
from scenarios.feed import reference_problem
from scenarios.patch import QUANTITIES, Patch, in_words, parse_patch, parse_patches

START = datetime(2026, 11, 24, 6, tzinfo=UTC)
BASE = reference_problem(START)


def patched(*texts: str, base: Problem = BASE) -> Problem:
    return apply_patches(base, parse_patches(texts))


def test_hashprice_falls_by_a_fifth_in_every_step_and_nothing_else_changes():
    after = patched("hashprice=-20%")
    assert after.hashprice_usd_per_ph_day == pytest.approx([0.8 * v for v in BASE.hashprice_usd_per_ph_day])
    unchanged = {"hashprice_usd_per_ph_day", "labels"}
    assert after.model_dump(exclude=unchanged) == BASE.model_dump(exclude=unchanged)
    assert after.labels == ("replayed", "what-if")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("=+15", lambda p: p + 15), ("=15", lambda p: 15), (":=-15", lambda p: -15), ("=80%", lambda p: 0.8 * p)],
)
def test_a_sign_changes_and_no_sign_replaces(text, expected):
    name = "ERCOT_HB_NORTH"
    after = patched(f"energy_price[{name}]{text}")
    assert after.prices_usd_per_mwh[name] == pytest.approx([expected(p) for p in BASE.prices_usd_per_mwh[name]])
    assert after.prices_usd_per_mwh["PJM_DOM"] == BASE.prices_usd_per_mwh["PJM_DOM"]


def test_a_window_touches_its_steps_for_their_whole_length():
    after = patched("energy_price[PJM_DOM]@6h..7.5h=+100")
    before = BASE.prices_usd_per_mwh["PJM_DOM"]
    changed = [t for t in range(48) if after.prices_usd_per_mwh["PJM_DOM"][t] != before[t]]
    assert changed == [6, 7]


def test_a_window_may_be_open_at_either_end():
    fine = reference_problem(START, grid=TimeGrid(start=START, step_s=(900,) * 8))
    assert patched("limit[pecos]@1h..=0MW", base=fine).limit_w["pecos"] == (39_500_000,) * 4 + (0,) * 4
    assert patched("limit[pecos]@..1h=0MW", base=fine).limit_w["pecos"] == (0,) * 4 + (39_500_000,) * 4


def test_limits_are_powers_of_sites_or_of_a_whole_region():
    assert set(patched("limit[pecos]=20MW").limit_w["pecos"]) == {20_000_000}
    after = patched("limit[texas]=-50%")
    assert set(after.limit_w) == {s.name for s in BASE.fleet.sites if s.region == "texas"}
    assert after.limit_w["graham"][0] == round(BASE.fleet.site_by_name["graham"].connection_limit_w / 2)


def test_a_site_goes_off_and_on_again():
    after = patched("site[pecos]@5h..9h=off", "site[pecos]@7h..9h=on")
    assert [t for t, w in enumerate(after.limit_w["pecos"]) if w == 0] == [5, 6]


def test_demand_stays_whole_numbers():
    after = patched("demand[chat-*]=+33.3%")
    assert all(isinstance(v, int) for v in after.demand_work_per_h["chat-8b-us"])
    assert sum(after.demand_work_per_h["chat-8b-us"]) == pytest.approx(1.333 * sum(BASE.demand_work_per_h["chat-8b-us"]))
    assert after.demand_work_per_h["digest-8b"] == BASE.demand_work_per_h["digest-8b"]


def test_contracts_connections_and_prices_of_work_change_the_fleet():
    after = patched(
        "contract_price[ethiopia]=+5", "contract_price[pecos]=+5", "connection[pecos]=+5MW", "work_price[vision-us]=-10%"
    )
    assert after.fleet.site_by_name["tatek"].contract.price_usd_per_mwh == 37.0
    assert after.fleet.site_by_name["pecos"].contract.adder_usd_per_mwh == 10.0
    assert after.fleet.site_by_name["pecos"].connection_limit_w == BASE.fleet.site_by_name["pecos"].connection_limit_w + 5_000_000
    assert {w.name: w.price_usd_per_mwork for w in after.fleet.workloads}["vision-us"] == pytest.approx(0.27)


def test_a_change_of_the_difficulty_lowers_what_hash_is_paid_from_its_time_on():
    after = patched("difficulty@6.5h..=+25%")
    base = BASE.hashprice_usd_per_ph_day
    assert after.hashprice_usd_per_ph_day == base
    expected = [*base[:6], 0.9 * base[6], *(0.8 * usd for usd in base[7:])]
    assert after.paid_hashprice_usd_per_ph_day == pytest.approx(expected)
    assert parse_patch(str(parse_patch("difficulty@6.5h..=+25%"))) == parse_patch("difficulty@6.5h..=+25%")


def test_patches_apply_in_order():
    assert patched("hashprice=30", "hashprice=+10%").hashprice_usd_per_ph_day[0] == pytest.approx(33.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hashprice", "expected QUANTITY[NAME]=VALUE"),
        ("", "expected QUANTITY[NAME]=VALUE"),
        ("hash_price=-20%", "expected one of hashprice, energy_price"),
        ("hashprice=lots", "expected a figure such as 15, +15 or -20%, got 'lots'"),
        ("hashprice=nan", "got 'nan'"),
        ("hashprice=1e999", "not finite"),
        ("hashprice=-20$", "got '-20$'"),
        ("hashprice:=-20%", "write = instead of :="),
        ("limit[pecos]=20", "expected a power in W, kW, MW or GW"),
        ("limit[pecos]=20MWh", "expected a power in W, kW, MW or GW"),
        ("energy_price[PJM_DOM]=15MW", "expected a figure in USD/MWh"),
        ("site[pecos]=maybe", "expected on or off"),
        ("hashprice@9..5=3", "expected more than from_h 9, got 5"),
        ("hashprice@1.2.3..5=3", "expected a window in hours"),
        ("work_price@1..2=3", "a window is not possible"),
        ("difficulty@24h..30h=+4%", "by a percentage from a time on"),
        ("difficulty=+4", "by a percentage from a time on"),
    ],
)
def test_what_is_no_patch_is_refused_in_words(text, words):
    with pytest.raises(BadInputError) as refused:
        parse_patch(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("limit[pecoz]=20MW", "did you mean pecos?"),
        ("energy_price[CAISO]=+1", "there are ERCOT_HB_WEST"),
        ("hashprice[pecos]=+1", "hashprice has no 'pecos'"),
        ("limit[pecos]=200MW", "to enlarge it write connection[pecos]=200000000W"),
        ("hashprice@50..60=3", "outside the horizon of 48 h"),
        ("energy_price=+99999", "faults more"),
        ("hashprice:=-20", "hashprice would be -20 USD/PH/day, which cannot be below 0; did you mean hashprice=-20%?"),
        ("hashprice@6h..=-90", "which cannot be below 0; did you mean hashprice@6h..=-90%?"),
        ("demand[chat-8b-us]:=-5", "demand would be -5 work/h, which cannot be below 0; did you mean demand[chat-8b-us]=-5%?"),
        ("hashprice=-1000", "which cannot be below 0"),
        ("demand=-9e18", "which cannot be below 0"),
        ("connection[pecos]=1kW", "expected watts, not kW or MW"),
    ],
)
def test_what_does_not_fit_the_problem_is_refused_in_words(text, words):
    with pytest.raises(BadInputError) as refused:
        patched("ambient=+1", text)
    assert words in str(refused.value)
    assert refused.value.refusals[0].pointer == "/1"
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hashprice=-20%", "hashprice 20 % lower"),
        ("hashprice=-20", "hashprice lowered by 20 USD/PH/day; by 20 % would be =-20%"),
        ("energy_price:=-20", "energy_price set to -20 USD/MWh"),
        ("energy_price[PJM_DOM]@6h..10h=-20", "energy_price of PJM_DOM lowered by 20 USD/MWh, from hour 6 to hour 10"),
        ("demand[chat-*]=+30%", "demand of chat-* 30 % higher"),
        ("limit[pecos]@6h..=20MW", "limit of pecos set to 20 MW, from hour 6 to the end"),
        ("site[pecos]=off", "pecos switched off"),
        ("outage[pecos/s21]=4", "outage of pecos/s21 4 machine(s) out of service"),
    ],
)
def test_a_patch_says_in_words_what_it_does(text, words):
    assert in_words(parse_patch(text)) == words


def test_all_faulty_texts_are_reported_at_once():
    with pytest.raises(BadInputError) as refused:
        parse_patches(["hashprice=-20%", "nonsense", "limit[a]=5"])
    assert [r.pointer for r in refused.value.refusals] == ["/1", "/2"]


@given(st.randoms(use_true_random=False))
def test_a_patch_reads_back_from_its_own_words(rng: Random):
    quantity = rng.choice(QUANTITIES)
    windowed = quantity not in ("contract_price", "work_price", "connection") and rng.random() < 0.5
    whole = quantity in ("site", "outage")
    patch = Patch(
        quantity=quantity,
        name=rng.choice(("*", "pecos", "ERCOT_*")),
        change="set" if whole else "scale" if quantity == "difficulty" else rng.choice(("set", "add", "scale")),
        value=float(quantity == "outage" or rng.choice((0, 1))) if whole else rng.choice((-20.0, 0.0, 0.8, 15.25, 20e6, 1 / 3)),
        from_h=rng.choice((0.0, 6.5)) if windowed else 0.0,
        to_h=rng.choice((None, 12.25)) if windowed and quantity != "difficulty" else None,
    )
    again = parse_patch(str(patch))
    assert again.value == pytest.approx(patch.value, rel=1e-9)
    assert again.model_copy(update={"value": 0.0}) == patch.model_copy(update={"value": 0.0})
    assert Patch.model_validate_json(patch.model_dump_json()) == patch


def test_every_name_that_can_be_patched_has_an_example_that_works():
    names = patchable(BASE)
    assert {p.quantity for p in names} == set(QUANTITIES)
    for entry in names:
        apply_patches(BASE, [parse_patch(entry.example)])


def test_an_outage_takes_machines_of_a_site_out_of_service_for_its_hours():
    twice = patched("outage[graham/s19xp]@6h..10h=4", "outage[graham/*]=1")
    out = [(o.machine, o.count, (o.start - START).total_seconds() / 3600, o.end is None) for o in twice.outages]
    assert out[0] == ("s19xp", 4, 6.0, False)
    assert sorted(out[1:]) == [(name, 1, 0.0, True) for name in ("b200", "h100", "s19xp", "s21")]
    assert len({o.name for o in twice.outages}) == 5


def test_a_feeder_carries_less_in_the_steps_of_the_window():
    after = patched("feeder[graham/transformer-2]@1h..3h=-50%").feeder_limit_w["graham"]["transformer-2"]
    assert after[:4] == (9_500_000, 4_750_000, 4_750_000, 9_500_000)


@pytest.mark.parametrize("text", ["outage[graham/s19xp]=+1", "outage[graham/s19xp]=1.5", "outage[graham/s19xp]=50%"])
def test_an_outage_is_a_whole_number_of_machines(text):
    with pytest.raises(BadInputError, match="a whole number of machines"):
        patched(text)


def test_an_outage_of_more_than_there_is_is_refused():
    with pytest.raises(BadInputError, match="is for 9 of graham/s19xp, which has 8"):
        patched("outage[graham/s19xp]=9")


@pytest.mark.parametrize("window", ["2026-11-23T10:00Z..2026-11-23T14:00Z", "10h", "", "6h-10h", "a..b"])
def test_a_window_that_is_none_is_answered_with_one_that_is(window):
    with pytest.raises(BadInputError, match=r"expected a window in hours from the start of the plan such as @6h\.\.10h"):
        parse_patch(f"hashprice@{window}=+5%")


@pytest.mark.parametrize(
    ("text", "meant"), [("hashprize=-20%", "hashprice"), ("Limit[pecos]=1MW", "limit"), ("energy price=+2", "energy_price")]
)
def test_a_misspelt_quantity_is_answered_with_the_one_that_is_near(text, meant):
    with pytest.raises(BadInputError, match=f"did you mean {meant}\\?"):
        parse_patch(text)


def test_a_minus_copied_from_the_page_is_a_minus():
    assert parse_patch("hashprice=\N{MINUS SIGN}20%") == parse_patch("hashprice=-20%")


@pytest.mark.parametrize(
    ("text", "words"),
    [("site=off", "every site switched off"), ("site[pecos]@2h..5h=on", "pecos switched on, from hour 2 to hour 5")],
)
def test_switching_a_site_is_said_of_the_site(text, words):
    assert in_words(parse_patch(text)) == words
