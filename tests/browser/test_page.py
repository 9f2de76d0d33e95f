"""The page at `/` in a real Chromium: it shows what the API says, by mouse, by keyboard, on a phone, and says it aloud."""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from models.availability import Outage, Pin
from models.market import DifficultyStep
from models.reserve import ToldAward
from service.store.entry_records import AwardEntry, DifficultyEntry, OutageEntry, PinEntry

pytestmark = pytest.mark.browser

POWER = ["inference", "standby", "eco", "normal", "turbo", "draw", "limit", "headroom"]


def value(cell: Locator) -> float:
    """The exact figure under a rounded one."""
    return float(cell.locator("data").first.get_attribute("value") or "nan")


def rows(page: Page) -> list[list[float]]:
    """The exact figures of the chart's table, hour by hour."""
    script = "rows => rows.map(row => [...row.querySelectorAll('td data')].map(cell => Number(cell.value)))"
    found: list[list[float]] = page.locator("#table tbody tr").evaluate_all(script)
    return found


def ready(page: Page) -> Page:
    page.wait_for_selector("#setpoint tbody tr")
    return page


def total(plan: Any, series: str, step: int) -> int:
    return sum(site[series][step] for site in plan["sites"].values())


def test_the_fleet_shows_what_the_api_says(place, visit):
    page, plan = ready(visit(f"{place.address}/?table=1")), place.plan
    for step, figures in enumerate(rows(page)):
        power = dict(zip(POWER, figures, strict=False))
        assert power["draw"] == total(plan, "draw_w", step)
        assert power["limit"] == total(plan, "limit_w", step)
        assert power["inference"] == total(plan, "inference_w", step)
        assert power["eco"] + power["normal"] + power["turbo"] == total(plan, "hashing_w", step)
        assert sum(figures[:5]) == power["draw"]
        assert power["draw"] + power["headroom"] == power["limit"]
    assert len(rows(page)) == len(plan["grid"]["step_s"])


def test_money_by_term_and_proof_are_those_of_the_api(place, visit):
    page = ready(visit(place.address))
    money = place.get(f"/v1/plans/{place.plan['plan_id']}/money")
    moved = {line["term"] for line in place.plan["money"] if any(abs(usd) >= 0.005 for usd in line["usd"])}
    shown_terms = [term for term in money["terms"] if term["term"] in moved]
    zeros = len(money["terms"]) - len(shown_terms)
    assert zeros
    assert page.locator("#money tr[data-term]").count() == len(shown_terms)
    expect(page.locator("#money-note")).to_contain_text(f"{zeros} term")
    for term in shown_terms:
        shown = value(page.locator(f'#money tr[data-term="{term["term"]}"]'))
        assert shown == pytest.approx(term["total_usd"], abs=1e-6)
    assert value(page.locator("#money tfoot")) == pytest.approx(money["profit_usd"], abs=1e-6)
    assert value(page.locator("#figures .first")) == pytest.approx(money["profit_usd"], abs=1e-6)
    expect(page.locator("#figures .first dd")).to_contain_text(f"${money['profit_usd']:,.0f}")
    expect(page.locator("#proof")).to_contain_text("nothing is proven")


def test_what_is_not_optimised_is_loud_and_replayed_input_is_labelled(place, visit):
    page = ready(visit(place.address))
    expect(page.locator("#alerts .loud")).to_contain_text("Rule plan, not optimised")
    expect(page.locator("#alerts .loud")).to_contain_text(place.plan["reasons"][0])
    expect(page.locator("#period .basis")).to_have_text("Rule")
    expect(page.locator("#period")).to_contain_text("replayed")
    expect(page.locator("#age")).to_contain_text("made ")


def test_a_site_is_found_and_picked_by_keyboard_alone(place, visit):
    page = ready(visit(f"{place.address}/?table=1"))
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Find a site")).to_be_focused()
    page.keyboard.type("grah tex")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?site=graham*")
    expect(page.get_by_role("button", name="Graham, Texas: pick a site")).to_be_focused()
    page.wait_for_selector("#setpoint tr[data-group]")

    site = place.get(f"/v1/plans/{place.plan['plan_id']}/sites/graham")["decisions"]
    assert [row[5] for row in rows(page)] == site["draw_w"]
    assert [sum(row[2:5]) for row in rows(page)] == site["hashing_w"]
    for name, group in site["groups"].items():
        cells = page.locator(f'#setpoint tr[data-group="{name}"] .count data')
        shown = [int(cells.nth(n).get_attribute("value") or -1) for n in range(cells.count())]
        assert shown[: len(group["mode_blocks"])] == [blocks[0] for blocks in group["mode_blocks"].values()]
    for name, pool in site["pools"].items():
        assert value(page.locator(f'#setpoint tr[data-pool="{name}"] .counts')) == pool["nodes_on"][0]

    page.go_back()
    expect(page.get_by_role("button", name="All 45 sites: pick a site")).to_be_visible()
    page.wait_for_selector("#setpoint tr[data-site]")


def test_every_site_is_in_the_table_and_leads_to_its_own_view(place, visit):
    page = ready(visit(place.address))
    names = page.locator("#setpoint tr[data-site]").evaluate_all("rows => rows.map(row => row.dataset.site)")
    assert sorted(names) == sorted(place.plan["sites"])
    page.get_by_role("button", name="Draw, MW").click()
    draws = [value(row) for row in page.locator("#setpoint tr[data-site]").all()]
    assert draws == sorted((site["draw_w"][0] for site in place.plan["sites"].values()), reverse=True)
    page.get_by_role("link", name="Pecos, Texas").click()
    expect(page.locator("h1")).to_contain_text("Pecos, Texas")


def test_pointing_at_an_hour_tells_its_exact_numbers(place, visit):
    page, plan = ready(visit(place.address)), place.plan
    box = page.locator(".chart-svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 100)
    step = page.locator(".hovered").evaluate("one => [...one.parentNode.children].indexOf(one)")
    assert step == 1  # behind the picked hour, above the chart
    start = page.locator("#readout-title").inner_text()
    offsets = [timedelta(seconds=sum(plan["grid"]["step_s"][:step])) for step in range(len(plan["grid"]["step_s"]))]
    starts = [datetime.fromisoformat(plan["grid"]["start"]) + after for after in offsets]
    labels = [f"{at:%a} {at.day} {at:%b} {at:%H:%M}" for at in starts]
    pointed = next(n for n, label in enumerate(labels) if start.startswith(label))
    assert 20 < pointed < 36
    assert value(page.locator("#readout tr", has_text="Draw at the meter")) == total(plan, "draw_w", pointed)
    page.mouse.move(5, 5)
    expect(page.locator(".hovered")).to_have_count(0)


@pytest.mark.parametrize("site", ["windsor", "malone", ""])
def test_the_marks_of_the_chart_say_what_they_stand_at(place, visit, site):
    page = ready(visit(f"{place.address}/?site={site}"))
    for marks in ("#chart .grid text.end.middle", "#chart .grid text.price-tick.middle"):
        told = [float(text.replace(",", "").replace("\u2212", "-")) for text in page.locator(marks).all_text_contents()]
        steps = {round(after - before, 6) for before, after in pairwise(told)}
        assert len(steps) == 1, f"equal spaces, unequal steps: {told}"


def test_hours_are_walked_by_keyboard_and_kept_in_the_address(place, visit):
    page, plan = ready(visit(place.address)), place.plan
    hour = page.get_by_role("slider", name="Hour of the plan")
    hour.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert "hour=" in page.url
    assert "MW" in (hour.get_attribute("aria-valuetext") or "")
    shown = value(page.locator("#readout tr", has_text="Draw at the meter"))
    assert shown == total(plan, "draw_w", 3)
    again = ready(visit(page.url))
    assert value(again.locator("#readout tr", has_text="Draw at the meter")) == shown


def test_hours_are_told_in_the_sites_zone_or_in_utc(place, visit):
    page = ready(visit(f"{place.address}/?site=hawassa&table=1"))
    start = datetime.fromisoformat(place.plan["grid"]["start"])
    first = page.locator("#table tbody th").first
    local = start.astimezone(ZoneInfo("Africa/Addis_Ababa"))
    expect(first).to_have_text(f"{local:%a} {local.day} {local:%b} {local:%H:%M}")
    page.get_by_role("button", name="UTC").click()
    expect(first).to_have_text(f"{start:%a} {start.day} {start:%b} {start:%H:%M}")
    assert "tz=utc" in page.url


def test_the_chart_is_named_and_its_table_is_there_for_screen_readers(place, visit):
    page = ready(visit(place.address))
    name = page.locator(".chart-svg").get_attribute("aria-label") or ""
    assert page.locator(".chart-svg").get_attribute("role") == "img"
    assert name.startswith("The fleet draws ")
    toggle = page.get_by_role("button", name="Show as table")
    toggle.press("Enter")
    expect(page.get_by_role("button", name="Hide the table")).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("table", name="Power in MW, mean over each step")).to_be_visible()
    nameless = page.locator("button, a, input, select").evaluate_all(
        "all => all.filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
    )
    assert nameless == 0


def test_an_unknown_site_in_the_address_falls_back_to_the_fleet(place, visit):
    page = ready(visit(f"{place.address}/?site=atlantis"))
    expect(page.get_by_role("button", name="All 45 sites: pick a site")).to_be_visible()
    assert "atlantis" not in page.url


def test_a_page_without_a_plan_waits_and_shows_the_first_one_by_itself(fresh_place, visit):
    page = visit(fresh_place.address)
    expect(page.get_by_role("heading", name="There is no plan yet")).to_be_visible()
    fresh_place.behind.planner.publish_rule("start")
    page.wait_for_selector("#setpoint tr[data-site]")
    expect(page.locator("#empty")).to_be_hidden()


def test_only_an_operator_may_enter_an_order_and_sees_what_came_of_it(place, visit):
    assert ready(visit(place.address)).get_by_role("button", name="Enter a limit order").count() == 0
    page = ready(visit(place.sign_in_link()))
    assert page.url == f"{place.address}/"
    expect(page.locator("#session")).to_contain_text("operator")
    page.get_by_role("button", name="Enter a limit order").click()
    page.get_by_role("combobox", name="Site", exact=True).select_option("pecos")
    page.get_by_label("Limit at the meter, MW").fill("12.5")
    page.get_by_label("Reason").fill("called by the utility")
    page.get_by_role("button", name="Enter the order").click()
    expect(page.get_by_role("alert").filter(has_text="In force")).to_contain_text("Pecos, Texas at most 12.500 MW")
    (event,) = place.get("/v1/events?site=pecos")["items"]
    assert event["order"]["limit_w"] == 12_500_000
    assert event["order"]["reason"] == "called by the utility"
    assert "operator" in event["created_by"]
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#orders")).to_contain_text("Pecos, Texas: at most 12.500 MW")
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("#orders")).to_be_hidden()
    assert place.get(f"/v1/events/{event['event_id']}")["withdrawn_at"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_order_whose_answer_is_lost_is_entered_once_however_often_it_is_sent(place, browser):
    context = browser.new_context()
    page = context.new_page()  # of its own: a browser logs that an answer is lost
    page.goto(place.sign_in_link())
    ready(page)
    page.get_by_role("button", name="Enter a limit order").click()
    page.get_by_role("combobox", name="Site", exact=True).select_option("kermit")
    page.get_by_label("Limit at the meter, MW").fill("9")

    def lose(route):
        route.fetch()
        route.abort()

    page.route("**/v1/events", lose)
    page.get_by_role("button", name="Enter the order").click()
    expect(page.locator("#order").get_by_role("alert")).to_contain_text("The service cannot be reached.")
    page.unroute("**/v1/events")
    page.get_by_role("button", name="Enter the order").click()
    expect(page.get_by_role("alert").filter(has_text="In force")).to_contain_text("at most 9.000 MW")
    assert len(place.get("/v1/events?site=kermit")["items"]) == 1
    page.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("#orders")).to_be_hidden()
    context.close()


def test_a_sign_in_link_that_was_used_before_says_so_on_the_page(place, visit):
    link = place.sign_in_link()
    page = ready(visit(link))
    page.goto(link)  # signed in already: there is nothing to be told
    ready(page)
    assert page.locator("dialog[open]").count() == 0
    other = visit(link)
    expect(other.get_by_role("alert").filter(has_text="used before")).to_be_visible()
    assert other.url == f"{place.address}/"


@pytest.mark.parametrize("width", [320, 390])
def test_the_reference_page_fits_a_phone(place, visit, width):
    page = visit(f"{place.address}/docs", viewport={"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_outages_and_pins_that_stand_are_shown_and_an_operator_ends_them(place, visit):
    now = datetime.now(UTC).replace(microsecond=0)
    outage = Outage(name="o", site="pecos", machine="s21", count=2, start=now, reason="fans of row 4")
    pin = Pin(
        name="p", owner="night shift", site="kermit", machine="s19xp", mode="eco", count=3, expires=now + timedelta(hours=6)
    )
    words = {"created_at": now, "created_by": "test", "entered_as": "operator"}
    place.behind.store.outages.add(OutageEntry(entry_id="o", outage=outage, **words))
    place.behind.store.pins.add(PinEntry(entry_id="p", pin=pin, **words))
    page = ready(visit(place.address))
    expect(page.locator("#orders strong")).to_have_text("1 outage and 1 pin stand")
    expect(page.locator("#orders li").first).to_contain_text("2 of s21 out of service from")
    expect(page.locator("#orders li").first).to_contain_text("until it is ended, site time; fans of row 4")
    expect(page.locator("#orders li").last).to_contain_text("3 of s19xp held in eco by night shift until")
    assert page.locator("#orders button").count() == 0, "readers end nothing"
    page = ready(visit(place.sign_in_link()))
    page.get_by_role("button", name="Back in service").click()
    expect(page.locator("#orders strong")).to_have_text("A pin stands")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#orders")).to_be_hidden()
    assert place.get("/v1/outages?standing=true")["items"] == place.get("/v1/pins?standing=true")["items"] == []


def test_told_awards_and_changes_of_the_difficulty_stand_there_with_who_told_them(place, visit):
    now = datetime.now(UTC).replace(microsecond=0)
    site = next(s for s in place.behind.store.fleets.newest().fleet.sites if s.reserves)
    reserve = site.reserves[0]
    begins, ends = reserve.block_at(site.zone, now)
    award = ToldAward(
        name="a", site=site.name, reserve=reserve.name, start=begins, end=ends, kw=reserve.least_kw + 1, source="the market"
    )
    step = DifficultyStep(at=now + timedelta(days=3), change_share=-0.0425, source="our node")
    words = {"created_at": now, "created_by": "market desk", "entered_as": "feed"}
    place.behind.store.awards.add(AwardEntry(entry_id="a", award=award, **words))
    place.behind.store.difficulty.add(DifficultyEntry(entry_id="d", difficulty=step, **words))
    page = ready(visit(place.address))
    expect(page.locator("#orders strong")).to_have_text("1 change of the difficulty and 1 award of a reserve stand")
    change, told = page.locator("#orders li").all()
    at = f"{step.at:%a} {step.at.day} {step.at:%b} {step.at:%H:%M}"
    expect(change).to_contain_text(f"Network: difficulty \u22124.25 % from {at}, UTC; our node")
    expect(change).to_contain_text("entered by market desk")
    local = begins.astimezone(ZoneInfo(site.zone))
    expect(told).to_contain_text(
        f"{site.title}: {award.kw:,} kW of {reserve.name} awarded from {local:%a} {local.day} {local:%b}"
    )
    expect(told).to_contain_text("site time; the market")
    assert page.locator("#orders button").count() == 0, "readers end nothing"
    other = next(s for s in place.plan["sites"] if s != site.name)
    page = ready(visit(f"{place.address}/?site={other}"))
    expect(page.locator("#orders strong")).to_have_text("A change of the difficulty stands")  # it is of every site

    page = ready(visit(place.sign_in_link()))
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#orders strong")).to_have_text("An award of a reserve stands")
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("Awarded, kW").fill("0")
    page.get_by_role("button", name="Tell it").click()
    expect(page.locator("#orders li")).to_contain_text(f"nothing of {reserve.name} awarded")
    (entry,) = place.get("/v1/awards?standing=true")["items"]
    assert (entry["award"]["kw"], entry["award"]["start"]) == (0, award.start.isoformat().replace("+00:00", "Z"))
    assert place.get("/v1/difficulty-steps?standing=true")["items"] == []
    place.behind.store.awards.withdraw(entry["entry_id"], by="test", at=now)


def test_many_entries_stand_behind_a_button(place, visit):
    now = datetime.now(UTC).replace(microsecond=0)
    sites = list(place.behind.store.fleets.newest().fleet.sites)[:9]
    for n, site in enumerate(sites):
        said = Outage(name=f"o{n}", site=site.name, machine=site.asic_groups[0].name, count=1, start=now)
        entry = OutageEntry(entry_id=f"many-{n}", outage=said, created_at=now, created_by="test", entered_as="operator")
        place.behind.store.outages.add(entry)
    page = ready(visit(place.address))
    expect(page.locator("#orders li")).to_have_count(6)
    page.get_by_role("button", name="Show 3 more").click()
    expect(page.locator("#orders li")).to_have_count(9)
    page.get_by_role("button", name="Show the first 6").click()
    expect(page.locator("#orders li")).to_have_count(6)
    for n in range(len(sites)):
        place.behind.store.outages.withdraw(f"many-{n}", by="test", at=now)


def test_a_key_opens_a_session_and_is_kept_nowhere(place, visit):
    page = ready(visit(place.address))
    _, key = place.behind.services.keyring.issue("operator", label="browser test", by="test")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Key or one-time link").fill(key)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.locator("#session")).to_contain_text("operator")
    secret = key.split(".")[1]
    assert secret not in page.content()
    assert secret not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie")
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


@pytest.mark.parametrize(
    ("name", "size", "colours"),
    [("wide", (1440, 900), "light"), ("dark", (1440, 900), "dark"), ("phone", (390, 844), "light")],
)
def test_it_is_worth_looking_at_on_every_screen(place, visit, tmp_path, name, size, colours):
    page = ready(visit(place.address, viewport={"width": size[0], "height": size[1]}, color_scheme=colours))
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.evaluate("document.fonts.check('15px Inter')")
    picture = tmp_path / f"{name}.png"
    page.screenshot(path=str(picture))
    assert len(colours_of(picture)) > 200
    for layer in ("inference", "eco", "turbo", "headroom"):
        box = page.locator(f".chart-svg .area.{layer}").bounding_box()
        assert box is not None
        assert box["width"] > 200


@pytest.mark.parametrize("width", [320, 360, 800, 1100])
def test_a_plan_s_long_id_makes_no_page_too_wide(place, visit, width):
    page = ready(visit(place.address, viewport={"width": width, "height": 900}))
    page.locator("#proof code").last.evaluate("code => { code.textContent = 'a'.repeat(32); }")  # as the solver's plans have
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_screen_that_is_turned_gets_a_chart_that_fits(place, visit):
    page = ready(visit(place.address, viewport={"width": 1280, "height": 800}))
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_function("document.documentElement.scrollWidth <= 390")


def colours_of(picture: Path) -> set[bytes]:
    """Colours that a screenshot holds: of a PNG's raw rows, so that a blank page is not taken for one."""
    content, compressed, at = picture.read_bytes(), b"", 8
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        if content[at + 4 : at + 8] == b"IDAT":
            compressed += content[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(compressed)
    return {raw[n : n + 3] for n in range(0, len(raw) - 3, 101)}
