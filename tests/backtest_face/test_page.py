"""The page of a back-test: whole by itself, true to the report, told to those who listen, whatever took part."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import get_args

import pytest
from reported import report

from models.time_grid import hourly
from scenarios.backtest.records import POLICIES, DataFlag, PolicyName
from service.backtesting.figures import apart, round_step, scale_of, thinned, time_marks
from service.backtesting.page import report_page
from service.backtesting.plots import REGRET
from service.backtesting.strips import cells
from service.backtesting.words import POLICIES as TITLES
from service.backtesting.words import by_kind, short_usd, usd, verdict


@dataclass
class Seen(HTMLParser):
    """What a page holds: elements with their attributes, cells by table, what it would load, and all its words."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "tr" and self.tables:
            list(self.tables.values())[-1].append([])

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if self.inside and self.inside[-1] == "caption":
            self.tables[data] = []
        elif self.inside and self.inside[-1] in ("td", "th"):
            list(self.tables.values())[-1][-1].append(data)
        if "style" not in self.inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def seen(of, release: str = "9.9.9") -> Seen:
    found = Seen()
    found.feed(report_page(of, release=release))
    return found


@pytest.fixture(scope="module")
def whole():
    made = report(seed=1)
    return made, seen(made)


def test_a_page_loads_nothing_and_runs_nothing(whole):
    page = whole[1]
    assert not [tag for tag, _ in page.elements if tag in ("script", "link", "img", "iframe", "object", "form", "a")]
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href", "style")]
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")
    style = report_page(whole[0], release="1").split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\((?!data:)|@import|http", style)


def test_every_plot_is_a_picture_with_a_label_that_holds_its_figures(whole):
    made, page = whole
    pictures = [a for t, a in page.elements if t == "svg" and a.get("aria-hidden") is None]
    assert len(pictures) == 2 + 1 + 1 + 1 + len(made.policies)
    assert all(a["role"] == "img" and len(a["aria-label"] or "") > 30 for a in pictures)
    running = pictures[0]["aria-label"] or ""
    assert all(short_usd(r.profit_usd) in running for r in made.policies)


def test_the_tables_hold_the_figures_of_the_report(whole):
    made, page = whole
    rows = {row[0]: row[1:] for row in page.tables["Policies"]}
    assert rows["Planned every hour"][0] == usd(made.result("plan").profit_usd)
    assert rows["Planned every hour"][2] == usd(made.gain_usd)
    terms = {row[0]: row[1:] for row in page.tables["Profit by term"]}
    assert terms["profit"] == [usd(r.profit_usd) for r in made.policies]
    assert terms["energy cost"] == [usd(r.by_term_usd["energy_cost"]) for r in made.policies]
    missed = {row[0]: row[1] for row in page.tables["What was missed"]}
    assert [missed[said] for _, said in REGRET] == [usd(getattr(made.regret, name)) for name, _ in REGRET]
    days = page.tables["Profit by day"]
    assert len(days) == 1 + 28
    assert "the day-ahead price stands in for it" in page.text
    assert made.digest in page.text


def test_the_verdict_names_share_gain_and_rule(whole):
    made = whole[0]
    for words in (usd(made.result("plan").profit_usd), usd(made.gain_usd), "than the best rule, inference first"):
        assert words in verdict(made)
    assert "as much as the best rule" in verdict(made.model_copy(update={"gain_usd": 0.0, "gain_share": 0.0}))
    behind = made.model_copy(update={"gain_usd": -5.0, "gain_share": -0.01})
    assert "$5.00 (1.0 %) less than the best rule" in verdict(behind)


@pytest.mark.parametrize("policies", [(policy,) for policy in POLICIES] + [("plan", "break_even"), ("plan", "perfect_foresight")])
def test_any_set_of_policies_makes_a_page(policies: tuple[PolicyName, ...]):
    page = seen(report(seed=2, days=2, policies=policies))
    assert len(page.tables["Policies"]) == 1 + len(policies)
    assert "None" not in page.text
    assert "nan" not in page.text


def test_every_policy_there_is_has_a_name_and_takes_part():
    everybody = get_args(PolicyName)
    page = seen(report(seed=7, days=2, policies=everybody))
    assert len(page.tables["Policies"]) == 1 + len(everybody)
    assert set(everybody) == set(TITLES)
    assert "Planned over paths" in page.text


def test_hostile_words_stay_words():
    bad = "<script>alert(1)</script>"
    flag = DataFlag(series="hub", start=datetime(2023, 8, 1, tzinfo=UTC), end=datetime(2023, 8, 1, tzinfo=UTC), intervals=1,
                    what=bad, is_left_out=False)  # fmt: skip
    page = seen(report(seed=3, days=1, notes=(bad,), flags=(flag,), sources={"hub": bad}))
    assert "script" not in [tag for tag, _ in page.elements]
    assert page.text.count(bad) == 3


def test_broken_rules_are_loud():
    made = report(seed=4, days=1)
    results = tuple(
        r.model_copy(update={"broken": ("pecos hour 3: draws too much",)} if n == 0 else {}) for n, r in enumerate(made.policies)
    )
    assert "Rules were broken : Planned every hour: pecos hour 3" in seen(made.model_copy(update={"policies": results})).text


@pytest.mark.parametrize(("start", "hours"), [((2023, 3, 12, 6), 23), ((2023, 11, 5, 5), 25)])
def test_a_day_of_23_or_25_hours_fills_its_own_column(start, hours):
    made = report(seed=5, days=2)
    moved = made.model_copy(update={"grid": hourly(datetime(*start, tzinfo=UTC), made.grid.steps)})
    held = cells(moved, [1.0] * made.grid.steps)
    first = min(day for day, _ in held)
    assert sum(len(values) for (day, _), values in held.items() if day == first) == hours
    assert sum(len(values) for values in held.values()) == made.grid.steps
    assert len({hour for day, hour in held if day == first}) == min(24, hours)


def test_kinds_of_money_add_up_to_the_profit():
    for result in report(seed=6, days=3).policies:
        extra = result.model_copy(update={"by_term_usd": result.by_term_usd | {"something_new": 5.0}})
        assert sum(by_kind(extra).values()) == pytest.approx(result.profit_usd + 5.0)
        assert by_kind(extra)["other"] == 5.0


def test_axes_are_round_and_places_keep_apart():
    assert [round_step(x) for x in (0.7, 1.0, 1.1, 3, 6, 23, 0)] == [1.0, 1.0, 2.0, 5, 10, 50, 1.0]
    ticks = scale_of([-3.2e6, 7.7e6], 0, 100).ticks()
    assert 0.0 in ticks
    assert min(ticks) >= -3.7e6
    placed = apart([5, 5, 6, 90, 95], 10, 0, 100)
    assert all(b - a >= 10 for a, b in pairwise(placed))
    assert placed[-1] <= 100
    assert thinned(5) == [0, 1, 2, 3, 4]
    assert len(thinned(9_000)) <= 722
    assert thinned(9_000)[-1] == 8_999


@pytest.mark.parametrize("hours", [1, 6, 24, 72, 672, 2_100, 24 * 365])
def test_a_time_axis_has_a_few_marks_in_order(hours):
    start = datetime(2023, 3, 10, 6, tzinfo=UTC)
    marks = list(time_marks(start, start + timedelta(hours=hours), "America/Chicago"))
    assert 1 <= len(marks) <= 14
    assert [at for at, _ in marks] == sorted(at for at, _ in marks)
    assert all(start <= at < start + timedelta(hours=hours) for at, _ in marks)


def test_money_is_short_on_axes_and_whole_in_tables():
    assert [short_usd(x) for x in (0, 5, 999.9, 1_234, -2_500_000, 3e9)] == ["$0", "$5", "$1k", "$1.23k", "−$2.5M", "$3bn"]
    assert [usd(x) for x in (0.001, 1.5, -1_234.5)] == ["$0", "$1.50", "−$1,234"]
