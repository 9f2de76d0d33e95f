"""The list of back-tests and their reports in a real Chromium: reached from the page, silent, readable on screens and paper."""

from collections.abc import Iterator

import pytest
from reported import report

from service.backtesting.child import figures
from service.backtesting.kept import folder_of, keep_report
from service.backtesting.words import percent

pytestmark = pytest.mark.browser


@pytest.fixture
def done(place) -> Iterator[str]:
    """The id of a back-test that has ended, with another that waits."""
    store, settings, now = place.behind.store, place.behind.services.settings, place.behind.services.now
    made = report(seed=1)
    payload = {"spec": made.spec.model_dump(mode="json")}
    for name in ("summer", "waits"):
        store.jobs.add(name, "backtest", payload, by="planner", at=now())
    store.jobs.claim("a worker", at=now(), lease_s=60, kinds=("backtest",))
    folder = folder_of(settings.data_dir, "summer")
    folder.mkdir(parents=True, exist_ok=True)
    keep_report(folder, made, release="1.2.3")
    store.jobs.finish("summer", "a worker", "done", at=now(), result=figures(made))
    yield "summer"
    store.jobs.ask_cancel("waits", at=now())


def test_a_report_is_two_clicks_from_the_page(place, visit, done):
    page = visit(place.address)
    page.wait_for_selector("#setpoint tbody tr")
    page.get_by_role("link", name="Back-tests").click()
    page.wait_for_url("**/backtests")
    page.wait_for_selector("tbody tr")
    rows = page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 2
    assert "queued" in rows[0]
    assert percent(report(seed=1).share_of_perfect) in rows[1]
    assert "over inference first" in rows[1]
    page.get_by_role("link", name="Report of summer").click()
    page.wait_for_url("**/report")
    page.wait_for_selector("h1")
    assert page.locator("h1").inner_text() == "A hot summer in Texas"
    assert page.get_by_role("img").count() == 2 + 1 + 1 + 1 + 9
    assert page.get_by_role("table").count() >= 6


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_fits_every_screen(place, visit, done, width, scheme):
    page = visit(f"{place.address}/v1/backtests/{done}/report", viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    inside = """svg => [...svg.querySelectorAll('text')].every(
        t => t.getBoundingClientRect().right <= svg.getBoundingClientRect().right + 2)"""
    assert all(page.evaluate(inside, svg) for svg in page.query_selector_all(".plot svg, .calendars svg"))
    assert page.evaluate("document.fonts.check('16px Inter')")


def test_names_at_the_end_of_lines_do_not_lie_on_each_other(place, visit, done):
    page = visit(f"{place.address}/v1/backtests/{done}/report")
    page.wait_for_selector(".plot svg")
    script = """svg => [...svg.querySelectorAll('text.name')].map(t => t.getBoundingClientRect())
        .map(r => [r.left, r.top, r.right, r.bottom])"""
    for svg in page.query_selector_all(".plot svg")[:2]:
        boxes = page.evaluate(script, svg)
        assert len(boxes) == 18
        overlaps = [
            (a, b) for n, a in enumerate(boxes) for b in boxes[n + 1 :]
            if min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 4
        ]  # fmt: skip
        assert overlaps == []


def test_paper_is_light_and_holds_it_all(place, visit, done):
    page = visit(f"{place.address}/v1/backtests/{done}/report", color_scheme="dark")
    page.wait_for_selector("h1")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = page.pdf(print_background=True)
    assert paper.startswith(b"%PDF")
    assert 2 <= paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") <= 12


def test_a_kept_page_opens_without_a_service(browser, tmp_path):
    from service.backtesting.page import report_page

    (tmp_path / "report.html").write_text(report_page(report(seed=2), release="1"))
    heard: list[str] = []
    page = browser.new_context(offline=True).new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("request", lambda asked: heard.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    page.goto(f"file://{tmp_path / 'report.html'}")
    assert page.locator("h1").inner_text() == "A hot summer in Texas"
    assert page.evaluate("getComputedStyle(document.querySelector('.line.plan')).strokeWidth") == "2.75px"
    assert heard == []
    page.context.close()
