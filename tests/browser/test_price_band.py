"""Where a price is a forecast the page draws it dashed, with its band, and says both in the readout and in the table."""

import threading
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from priced import forecasting

from service.app import create_app
from service.http.server import create
from service.web.routes import page_routes

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(chromium, tmp_path_factory):
    behind = forecasting(tmp_path_factory.mktemp("priced"), lambda: datetime.now(UTC))
    behind.planner.publish_rule("start")
    server = create(create_app(behind.services, page_routes(behind.services, release="0.0.0")), behind.services.settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(10)
    behind.stop()


def turn_to(page: Page, step: int) -> None:
    page.wait_for_selector("#setpoint tbody tr")
    script = (
        "step => { const hour = document.getElementById('hour'); hour.value = step; hour.dispatchEvent(new Event('input')); }"
    )
    page.evaluate(script, step)


@pytest.mark.parametrize("scope", ["?site=pecos&table=1", "?table=1"])
def test_a_forecast_is_dashed_has_a_band_and_is_in_readout_and_table(address, visit, scope):
    page = visit(f"{address}/{scope}")
    turn_to(page, 40)
    expect(page.locator(".price-line.ahead")).to_have_count(1)
    expect(page.locator(".price-line:not(.ahead)")).to_have_count(1)
    line, band = (page.locator(f".chart-svg {name}").bounding_box() for name in (".price-line.ahead", ".price-band"))
    assert line is not None
    assert band is not None
    assert abs(line["x"] - band["x"]) < 4
    assert band["y"] <= line["y"] + 1
    assert band["y"] + band["height"] >= line["y"] + line["height"] - 1
    expect(page.locator("#chart-note")).to_contain_text("Dashed: a forecast, with its 10–90 % band.")
    expect(page.locator("#readout .band-row")).to_contain_text("Forecast, 10–90 %")
    price = page.evaluate("""async scope => {
        const now = await (await fetch('/v1/now')).json();
        return (await (await fetch(`/v1/plans/${now.plan_id}/overview${scope}`)).json()).price;
    }""", "?site=pecos" if "site" in scope else "")  # fmt: skip
    head = page.locator("#table thead th").all_inner_texts()
    place = [name for name in head if name].index("Forecast 10 %") - 1
    row = page.locator("#table tbody tr").nth(40)
    shown = [float(row.locator("td").nth(place + n).locator("data").get_attribute("value") or "nan") for n in (0, 1)]
    assert shown == [price["p10_usd_per_mwh"][40], price["p90_usd_per_mwh"][40]]
    first = page.locator("#table tbody tr").nth(0)
    assert [first.locator("td").nth(place + n).inner_text() for n in (0, 1)] == ["–", "–"]
    turn_to(page, 0)
    expect(page.locator("#readout .band-row")).to_have_count(0)


def test_a_known_price_is_a_plain_line(address, visit):
    page = visit(f"{address}/?site=abilene&table=1")
    turn_to(page, 40)
    expect(page.locator(".price-line")).to_have_count(1)
    expect(page.locator(".price-line.ahead, .price-band, #readout .band-row")).to_have_count(0)
    assert "Forecast 10 %" not in page.locator("#table thead").inner_text()
    assert "Dashed" not in page.locator("#chart-note").inner_text()
