"""The page of what-ifs in a real Chromium, against a service that answers them: asked once, followed, compared, told why not."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from models.availability import Pin
from scenarios.library import load_scenario, scenario_names
from service.store.entry_records import PinEntry

pytestmark = pytest.mark.browser

ANSWERED_MS = 90_000
JOBS = "/v1/jobs?kind=scenario"


def value(cell: Locator) -> float:
    """The exact figure under a rounded one."""
    return float(cell.locator("data").first.get_attribute("value") or "nan")


def figures(row: Locator) -> list[float]:
    return [float(cell.get_attribute("value") or "nan") for cell in row.locator("td data").all()]


def opened(place, visit: Callable[..., Page], role: str = "planner", query: str = "", **context: Any) -> Page:
    page = visit(place.sign_in_link(role), **context)
    page.goto(f"{place.address}/what-ifs{query}")
    expect(page.locator("#session")).to_contain_text(role)
    page.wait_for_selector("form")
    return page


@contextmanager
def own_page(place, browser: Browser) -> Iterator[Page]:
    """A page whose console may be heard: a browser logs what is refused, and what is lost."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(place.sign_in_link("planner"))
    page.goto(f"{place.address}/what-ifs")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    yield page
    context.close()


def compose(page: Page, *changes: tuple[str, str, str]) -> None:
    """Fill the form with changes: quantity, of what, value."""
    for n, (quantity, name, written) in enumerate(changes):
        if n:
            page.get_by_role("button", name="Add a change").click()
        fields = page.locator("fieldset.change").nth(n)
        fields.get_by_label("Quantity").select_option(quantity)
        if name:
            fields.get_by_label("Of", exact=True).fill(name)
        fields.get_by_label("Value").fill(written)
        fields.get_by_label("Value").blur()


def ask(page: Page) -> None:
    page.get_by_role("button", name="Ask", exact=True).click()


def answered(place, page: Page) -> Any:
    """The job that is open, once its comparison is on the page; `page.url` is told of a new address late."""
    expect(page.locator(".outcome")).to_be_visible(timeout=ANSWERED_MS)
    address = page.evaluate("location.href")
    return place.get(f"/v1/jobs/{address.partition('one=')[2].partition('&')[0]}")


def shows(page: Page, comparison: Any) -> None:
    """Every figure on the page is the job's."""
    profit, outcome = comparison["profit_usd"], page.locator(".outcome data")
    assert [float(cell.get_attribute("value")) for cell in outcome.all()] == [profit["difference"], comparison["plus_minus_usd"]]
    rows = {row.get_attribute("data-row"): figures(row) for row in page.locator("#answer tr[data-row]").all()}
    assert rows["profit"] == [profit["difference"], profit["before"], profit["after"]]
    terms = {
        name: [usd["difference"], usd["before"], usd["after"]]
        for name, usd in comparison["profit_by_term_usd"].items()
        if abs(usd["before"]) >= 0.005 or abs(usd["after"]) >= 0.005
    }
    assert {key.removeprefix("term:"): got for key, got in rows.items() if key.startswith("term:")} == terms
    for use in ("hashing_mwh", "serving_mwh", "base_mwh"):
        told = comparison["energy"][use]
        assert rows[f"energy:{use}"] == [told["difference"], told["before"], told["after"]]
    sites = [key.removeprefix("site:") for key in rows if key.startswith("site:")]
    assert sites
    for name in sites:
        site = comparison["sites"][name]
        energy = site["energy"]
        assert rows[f"site:{name}"] == [
            site["profit_usd"]["difference"], energy["hashing_mwh"]["difference"], energy["serving_mwh"]["difference"],
            site["decisions_changed"],
        ]  # fmt: skip
    note = f"{comparison['decisions_changed']:,} of {comparison['decisions']:,} decisions changed"
    expect(page.locator("#answer")).to_contain_text(note)


def test_one_of_the_library_is_asked_and_its_answer_is_the_job_s(busy_place, visit):
    page = opened(busy_place, visit)
    choice = page.get_by_label("Begin with")
    offered = choice.locator("option").evaluate_all("all => all.slice(1).map(one => [one.value, one.disabled])")
    assert offered == [[name, not load_scenario(name).patches] for name in scenario_names()]
    choice.select_option("price_spike")
    known = load_scenario("price_spike")
    expect(page.locator(".asking")).to_contain_text(known.why.split(".")[0])
    expect(page.locator(".said")).to_have_text("energy_price of ERCOT_* raised by 300 USD/MWh, from hour 10 to hour 14")
    ask(page)
    expect(page.locator("#answer h2")).to_have_text(known.title)
    expect(page.locator("#answer")).to_be_focused()
    expect(page.locator("#answer progress")).to_be_visible()
    expect(page.locator("#answer .alert p")).to_contain_text("Plan ", timeout=ANSWERED_MS)
    job = answered(busy_place, page)
    assert job["payload"]["set"] == ["energy_price[ERCOT_*]@10..14=+300"]
    comparison = job["result"]["comparison"]
    page.get_by_role("button", name="more").first.click()
    shows(page, comparison)
    assert page.locator('#answer tr[data-row^="site:"]').count() == sum(
        1 for site in comparison["sites"].values() if site["decisions_changed"] or abs(site["profit_usd"]["difference"]) >= 0.005
    )
    expect(page.locator(".verdict")).to_contain_text("the sum of both plans' certified gaps")
    expect(page.locator("#aloud")).to_contain_text("Done: profit")
    expect(page.locator("#recent li").first).to_contain_text(known.title)
    for end in ("csv", "xlsx"):
        assert page.locator(f'#answer a[href="/v1/scenarios/{job["job_id"]}/table.{end}"]').count() == 1
    assert page.evaluate(f"fetch('/v1/scenarios/{job['job_id']}/table.csv').then(answer => answer.status)") == 200


def test_changes_of_one_s_own_are_asked_and_set_beside_each_other(busy_place, visit):
    page = opened(busy_place, visit)
    compose(page, ("hashprice", "", "\N{MINUS SIGN}20%"), ("limit", "texas", "-10%"))
    expect(page.locator(".said").first).to_have_text("hashprice 20 % lower")
    expect(page.locator(".said").last).to_have_text("limit of texas 10 % lower")
    page.locator("fieldset.change").last.get_by_label("Value").press("Enter")  # by keyboard alone
    first = answered(busy_place, page)
    assert first["payload"]["set"] == ["hashprice=\N{MINUS SIGN}20%", "limit[texas]=-10%"]
    shows(page, first["result"]["comparison"])

    page.get_by_role("button", name="Change it and ask again").click()
    expect(page.get_by_label("Value").first).to_be_focused()  # filled anew, once the service has said what its changes mean
    expect(page.locator("fieldset.change")).to_have_count(2)
    page.get_by_role("button", name="Remove").last.click()
    page.get_by_label("Value").fill("+5")
    page.get_by_text("Its name, and how hard to try").click()
    page.get_by_label("Name", exact=True).fill("a little dearer")
    page.get_by_label("Gap to stop at, %").fill("0.5")
    ask(page)
    expect(page.locator("#answer h2")).to_have_text("a little dearer")
    second = answered(busy_place, page)
    assert (second["payload"]["set"], second["payload"]["asked_gap"]) == (["hashprice=+5"], 0.005)
    shows(page, second["result"]["comparison"])

    page.get_by_label("Beside").focus()
    page.get_by_label("Beside").select_option(first["job_id"])
    expect(page.locator("#answer ol.verdict li")).to_have_count(2)
    between = busy_place.get(f"/v1/plans/{first['result']['plan_id']}/diff?against={second['result']['plan_id']}")
    told = [second["result"]["comparison"], first["result"]["comparison"], between]
    assert figures(page.locator('tr[data-row="profit"]')) == [one["profit_usd"]["difference"] for one in told]
    assert figures(page.locator('tr[data-row="energy:hashing_mwh"]')) == [
        one["energy"]["hashing_mwh"]["difference"] for one in told
    ]
    expect(page.locator("#answer")).to_contain_text(f"Certain to ± ${between['plus_minus_usd']:,.0f}")

    expect(page.get_by_label("Beside")).to_be_focused()

    again = opened(busy_place, visit, query=f"?{page.url.partition('?')[2]}")
    expect(again.locator("#answer ol.verdict li")).to_have_count(2)
    again.locator("#recent").get_by_role("link", name="a little dearer").press("Enter")
    expect(again.locator(".outcome")).to_be_visible()
    expect(again.locator("#answer")).to_be_focused()
    again.go_back()
    expect(again.locator("#answer ol.verdict li")).to_have_count(2)


def refusal(place, *changes: str) -> Any:
    with pytest.raises(HTTPError) as refused:
        place.get(f"/v1/scenario-changes?set={quote(chr(10).join(changes))}")
    return json.load(refused.value)["errors"]


def test_a_fault_stands_at_its_field_in_the_service_s_words(busy_place, browser):
    before = busy_place.get(JOBS)["items"]
    with own_page(busy_place, browser) as page:
        compose(page, ("hashprice", "", "-20%"), ("limit", "pecoss", "-50%"))
        (fault,) = refusal(busy_place, "hashprice=-20%", "limit[pecoss]=-50%")
        assert "did you mean pecos" in fault["detail"]
        name = page.get_by_label("Of", exact=True)
        expect(name.last).to_have_attribute("aria-invalid", "true")
        said = name.last.get_attribute("aria-errormessage")
        expect(page.locator(f"#{said}")).to_have_text(fault["detail"])
        expect(page.locator('[aria-invalid="true"]')).to_have_count(1)
        ask(page)
        expect(page.get_by_role("alert").filter(has_text="field that is marked")).to_be_visible()
        expect(name.last).to_be_focused()

        name.last.fill("pecos")
        page.get_by_label("Value").first.fill("a fifth less")
        ask(page)
        expect(page.get_by_label("Value").first).to_have_attribute("aria-invalid", "true")
        expect(page.locator(".said").first).to_have_text(refusal(busy_place, "hashprice=a fifth less")[0]["detail"])
        page.get_by_label("Value").first.fill("-80")
        page.keyboard.press("Tab")
        expect(page.locator(".said").first).to_contain_text("did you mean hashprice=-80%?")
        page.get_by_text("Its name, and how hard to try").click()
        page.get_by_label("Longest time for a plan, s").fill("3601")
        page.get_by_text("Its name, and how hard to try").click()
        page.get_by_label("Value").first.fill("-8%")
        ask(page)
        expect(page.get_by_label("Longest time for a plan, s")).to_be_focused()
        expect(page.locator("details")).to_contain_text("3600")
        page.get_by_label("From hour").first.fill("soon")
        page.keyboard.press("Tab")
        expect(page.get_by_label("From hour").first).to_have_attribute("aria-invalid", "true")
    assert busy_place.get(JOBS)["items"] == before


def test_a_double_click_and_a_lost_answer_ask_once(busy_place, browser):
    before = len(busy_place.get(JOBS)["items"])
    with own_page(busy_place, browser) as page:
        compose(page, ("hashprice", "", "+1%"))

        def lose(route):
            route.fetch()
            route.abort()

        page.route("**/v1/scenarios", lose)
        page.get_by_role("button", name="Ask", exact=True).dblclick()
        expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
        page.unroute("**/v1/scenarios")
        page.get_by_role("button", name="Ask", exact=True).dblclick()
        expect(page.locator("#answer h2")).to_have_text("hashprice=+1%")
        answered(busy_place, page)
        expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()
    assert len(busy_place.get(JOBS)["items"]) == before + 1


def test_a_what_if_under_way_tells_how_far_it_is_and_is_cancelled(busy_place, visit):
    page = opened(busy_place, visit)
    compose(page, ("demand", "chat-*", "+20%"))
    page.get_by_text("Its name, and how hard to try").click()
    page.get_by_label("Gap to stop at, %").fill("0")
    page.get_by_label("Longest time for a plan, s").fill("120")
    ask(page)
    expect(page.get_by_role("button", name="Asked")).to_be_disabled()
    expect(page.locator("#answer .alert p")).to_contain_text("Plan 1 of 2, without the changes: ", timeout=ANSWERED_MS)
    expect(page.locator("#answer .alert p")).to_contain_text("· best so far $", timeout=ANSWERED_MS)
    expect(page.locator("#answer .alert p")).to_contain_text("· gap ")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#answer .alert")).to_contain_text("Cancelled.", timeout=ANSWERED_MS)
    expect(page.locator("#aloud")).to_contain_text("Cancelled.")
    assert busy_place.get(JOBS)["items"][0]["state"] == "cancelled"
    expect(page.locator("#recent li").first).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_enabled()


def test_one_without_a_plan_shows_why_in_the_diagnosis_words(busy_place, visit):
    now = datetime.now(UTC).replace(microsecond=0)
    site = next(s for s in busy_place.behind.store.fleets.newest().fleet.sites if s.name == "pecos")
    group = site.asic_groups[0]
    pin = Pin(
        name="p", owner="night shift", site="pecos", machine=group.name, mode=group.modes[0].name, count=group.blocks,
        expires=now + timedelta(hours=40),
    )  # fmt: skip
    busy_place.behind.store.pins.add(PinEntry(entry_id="p", pin=pin, created_at=now, created_by="test", entered_as="operator"))
    busy_place.behind.planner.publish_rule("pinned")
    try:
        page = opened(busy_place, visit)
        compose(page, ("limit", "pecos", "1MW"))
        page.get_by_text("Its name, and how hard to try").click()
        page.get_by_label("Say what contradicts itself").check()
        ask(page)
        told = page.locator("#answer .alert.loud")
        expect(told).to_contain_text("No plan can keep all hard rules", timeout=ANSWERED_MS)
        job = busy_place.get(JOBS)["items"][0]
        assert (job["state"], job["payload"]["strict"]) == ("infeasible", True)
        assert [line.inner_text() for line in told.locator("li").all()] == [
            each["words"] for kind in ("offered", "blocking") for each in job["result"]["diagnosis"] if each["kind"] == kind
        ]
        expect(told).to_contain_text("must give way")
    finally:
        busy_place.behind.store.pins.withdraw("p", by="test", at=now)
        busy_place.behind.planner.publish_rule("unpinned")


def test_who_may_not_ask_is_told_what_to_do(busy_place, visit, browser):
    page = visit(f"{busy_place.address}/what-ifs")
    expect(page.locator(".gate")).to_contain_text("What-ifs are asked by planners and operators: sign in")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_hidden()
    compose(page, ("hashprice", "", "-7%"))
    expect(page.locator("#recent > *").first).to_be_visible()  # on this machine reads are open
    _, key = busy_place.behind.services.keyring.issue("planner", label="browser test", by="test")
    page.get_by_role("button", name="Sign in to ask").click()
    page.get_by_label("Key or one-time link").fill(key)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    expect(page.get_by_label("Value")).to_have_value("-7%")  # what was composed is still there

    context = browser.new_context()  # of its own: a browser logs that the plan is closed to admins
    admin = context.new_page()
    admin.goto(busy_place.sign_in_link("admin"))
    admin.goto(f"{busy_place.address}/what-ifs")
    expect(admin.get_by_role("alert")).to_contain_text("Admins may not ask what-ifs")
    expect(admin.get_by_role("alert")).to_contain_text("the key of a planner or an operator")
    context.close()


def test_where_reads_are_closed_one_signs_in_first_and_again_when_the_session_has_ended(busy_place, browser):
    context = browser.new_context(extra_http_headers={"X-Forwarded-For": "203.0.113.7"})  # so nobody is on this machine
    page = context.new_page()
    page.goto(f"{busy_place.address}/what-ifs")
    expect(page.get_by_role("alert")).to_contain_text("Sign in to ask what-ifs")
    expect(page.locator(".what-ifs")).to_be_hidden()
    _, key = busy_place.behind.services.keyring.issue("operator", label="browser test", by="test")

    def sign_in():
        page.get_by_role("alert").get_by_role("button", name="Sign in").click()
        page.get_by_label("Key or one-time link").fill(key)
        page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()

    sign_in()
    compose(page, ("hashprice", "", "-9%"))
    context.clear_cookies()
    expect(page.locator("#lost")).to_contain_text("Sign in to ask what-ifs")
    sign_in()
    expect(page.get_by_label("Value")).to_have_value("-9%")
    context.close()


def test_before_anything_is_planned_the_page_says_so(fresh_place, browser):
    context = browser.new_context()  # of its own: a browser logs that nothing is there
    page = context.new_page()
    page.goto(f"{fresh_place.address}/what-ifs")
    expect(page.get_by_role("alert")).to_contain_text("Nothing is planned yet that could be changed.")
    fresh_place.behind.planner.publish_rule("start")
    expect(page.get_by_label("Quantity")).to_be_visible()
    expect(page.locator("#lost")).to_be_hidden()
    context.close()


@pytest.fixture(scope="module")
def done(busy_place) -> list[str]:
    """Ids of two what-ifs that are answered."""
    _, key = busy_place.behind.services.keyring.issue("planner", label="browser test", by="test")
    ids = []
    for change in ("hashprice=-1%", "energy_price[ERCOT_*]@3h..9h=+40"):
        content = json.dumps({"name": f"what if {change} and nothing else in the world", "set": [change]}).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        asked = Request(f"{busy_place.address}/v1/scenarios", content, headers)
        with urlopen(asked, timeout=30) as answer:
            ids.append(json.load(answer)["job_id"])
    assert [busy_place.get(f"/v1/jobs/{each}?wait=55")["state"] for each in ids] == ["done", "done"]
    return ids


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (320, "dark"), (390, "light"), (800, "dark"), (1440, "light")])
def test_it_fits_every_screen_and_names_everything(busy_place, visit, done, width, scheme):
    for query in ("", f"?one={done[0]}", f"?one={done[0]}&beside={done[1]}"):
        page = opened(busy_place, visit, query=query, viewport={"width": width, "height": 800}, color_scheme=scheme)
        if query:
            expect(page.locator(".compared").first).to_be_visible()
        page.get_by_role("button", name="Add a change").click()
        page.get_by_text("Its name, and how hard to try").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        nameless = page.locator("button, a, input, select, progress").evaluate_all(
            "all => all.filter(e => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
        )
        assert nameless == 0


def test_the_plan_leads_to_the_what_ifs_and_they_lead_back(place, visit):
    page = visit(place.address)
    page.wait_for_selector("#setpoint tbody tr")
    page.get_by_role("link", name="What if …").click()
    expect(page.get_by_role("heading", name="What if …")).to_be_visible()
    page.get_by_role("link", name="The plan").first.click()
    page.wait_for_selector("#setpoint tbody tr")
