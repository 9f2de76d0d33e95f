"""A click on a bar of a site's chart tells why the hour is as it is: what the service's explanation says."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import service.explaining

pytestmark = pytest.mark.browser

EXPLAINED_S = 180.0
"""For an explanation on a machine that is busy with other tests; a calm one takes 5 to 10 s."""
MOMENT_S = 0.01


def ready(page: Page) -> Page:
    page.wait_for_selector("#setpoint tbody tr")
    expect(page.locator("#why")).to_be_hidden()
    return page


def explained(page: Page, click: Callable[[], None]) -> Any:
    """Click, and return what the page was told; it shows that then."""
    with page.expect_response(lambda answer: "/explanations?" in answer.url, timeout=EXPLAINED_S * 1000) as asked:
        click()
    told = asked.value.json()
    expect(page.locator("#why .reason")).to_have_text(told["reason"])
    return told


def figures(page: Page) -> list[float | str]:
    """The value of one more MW, then of the next block, as machines read them; a dash where there is no figure."""
    script = (
        "cells => cells.map(cell => cell.querySelector('data') ? Number(cell.querySelector('data').value) : cell.firstChild.data)"
    )
    found: list[float | str] = page.locator("#why [data-figure]").evaluate_all(script)
    return found


def test_a_click_on_an_hour_shows_its_explanation(place, visit, monkeypatch):
    monkeypatch.setattr(service.explaining, "PRICES_S", EXPLAINED_S / 3)
    monkeypatch.setattr(service.explaining, "SITE_S", EXPLAINED_S / 3)
    page = ready(visit(f"{place.address}/?site=monahans"))
    area = page.locator("#chart svg").bounding_box()
    assert area is not None
    told = explained(page, lambda: page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2))
    assert told["step"] == int(page.locator("#hour").input_value())
    assert told["missing"] == []
    expect(page.locator("#why-title")).to_contain_text("Why ")
    expect(page.locator("#why .unknown")).to_have_count(0)
    assert figures(page) == [told["marginal_usd_per_mwh"], told["next_block"]["value_usd_per_mwh"]]
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
    later = explained(page, page.get_by_role("button", name="Why this hour?").click)
    assert later["step"] == told["step"] + 1


def test_what_time_did_not_suffice_for_is_a_dash_in_words_and_can_be_asked_again(place, visit, monkeypatch):
    monkeypatch.setattr(service.explaining, "PRICES_S", EXPLAINED_S / 3)
    monkeypatch.setattr(service.explaining, "SITE_S", MOMENT_S)
    page = ready(visit(f"{place.address}/?site=monahans"))
    hurried = explained(page, page.get_by_role("button", name="Why this hour?").click)
    assert hurried["marginal_usd_per_mwh"] is None
    assert hurried["next_block"]["value_usd_per_mwh"] is None
    assert hurried["missing"][:3] == ["the best schedule of the site", "one more MW", "the next block"]
    assert figures(page) == ["–", "–"]
    expect(page.locator("#why .unknown .note")).to_have_text(
        f"Time did not suffice for {', '.join(hurried['missing'])}; a dash stands for no figure, not for 0."
    )
    unvalued = page.locator("#why table").first.locator("tbody tr")
    for row, other in zip(unvalued.all(), hurried["alternatives"], strict=True):
        expect(row.locator("th")).to_have_text(other["words"])
        assert row.locator("td").all_text_contents() == ["–", "–"]

    monkeypatch.setattr(service.explaining, "SITE_S", EXPLAINED_S / 3)
    whole = explained(page, page.get_by_role("button", name="Ask again").click)
    assert (whole["step"], whole["missing"]) == (hurried["step"], [])
    assert figures(page) == [whole["marginal_usd_per_mwh"], whole["next_block"]["value_usd_per_mwh"]]
    expect(page.locator("#why .unknown")).to_have_count(0)


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
