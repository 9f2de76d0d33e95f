"""A click on a bar of a site's chart tells why the hour is as it is: what the service's explanation says."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

EXPLAINED_MS = 60_000


def test_a_click_on_an_hour_shows_its_explanation(place, visit):
    page = visit(f"{place.address}/?site=monahans")
    page.wait_for_selector("#setpoint tbody tr")
    expect(page.locator("#why")).to_be_hidden()
    area = page.locator("#chart svg").bounding_box()
    assert area is not None
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    step = int(page.locator("#hour").input_value())
    expect(page.locator("#why-title")).to_contain_text("Why ")
    expect(page.locator("#why .reason")).to_be_visible(timeout=EXPLAINED_MS)
    told = place.get(f"/v1/plans/{place.plan['plan_id']}/explanations?site=monahans&step={step}")
    expect(page.locator("#why .reason")).to_have_text(told["reason"])
    shown = page.locator("#why [data-figure] data").evaluate_all("cells => cells.map(cell => Number(cell.value))")
    assert shown == [told["marginal_usd_per_mwh"], told["next_block"]["value_usd_per_mwh"]]
    others = page.locator("#why table").first.locator("tbody tr")
    expect(others).to_have_count(len(told["alternatives"]))
    change = others.first.locator("td data").first.get_attribute("value")
    assert float(change or "nan") == told["alternatives"][0]["change_usd"]

    sold = page.locator("#why table", has_text="One more MW of a reserve").locator("tbody tr")
    assert told["reserves"], "half of the horizon ahead, a block of monahans' reserve is open"
    expect(sold).to_have_count(len(told["reserves"]))
    expect(sold.first).to_contain_text(told["reserves"][0]["reserve"])

    page.locator("#hour").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#why")).to_be_hidden()
    page.get_by_role("button", name="Why this hour?").click()
    expect(page.locator("#why .reason")).to_be_visible(timeout=EXPLAINED_MS)


def test_the_explanation_comes_into_view_on_a_low_screen(place, visit):
    page = visit(f"{place.address}/?site=pecos", viewport={"width": 1280, "height": 640})
    page.wait_for_selector("#setpoint tbody tr")
    page.get_by_role("button", name="Why this hour?").click()
    expect(page.locator("#why")).to_be_in_viewport()
    expect(page.locator("#why h3")).to_be_in_viewport()


def test_the_fleet_as_a_whole_has_no_one_reason(place, visit):
    page = visit(place.address)
    page.wait_for_selector("#setpoint tbody tr")
    expect(page.locator("#why-button")).to_be_hidden()
    page.locator("#chart svg").click()
    expect(page.locator("#why")).to_be_hidden()
