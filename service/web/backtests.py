"""The page at `/backtests`: what was replayed, how it stands, and the way to each report."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from scenarios.backtest.records import BacktestSpec
from service.backtesting.words import against, percent
from service.http.routes import Answer, Call, Route, reads
from service.ports import Services
from service.store.common import of_this_release
from service.store.records import Job

MOST_SHOWN = 100


def list_route(services: Services, style: str) -> Route:
    """Return the route of the list; `style` is the address of the page's style."""
    store = services.store

    def backtests(call: Call) -> Answer:
        """Show the newest back-tests."""
        rows = [_row(job) for job in store.jobs.page(limit=MOST_SHOWN, kind="backtest").items]
        content = _template().render(rows=rows, style=style)
        return Answer(content.encode(), media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})

    return Route("GET", "/backtests", backtests, reads("operator", "planner"), "Back-tests", "page", hidden=True)


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("service.web"), autoescape=select_autoescape(), undefined=StrictUndefined)
    return environment.get_template("backtests.html")


def _row(job: Job) -> dict[str, Any]:
    spec, told = of_this_release(BacktestSpec, job.payload["spec"]), job.result or {}
    share, gain, rule = (told.get(name) for name in ("share_of_perfect", "gain_usd", "best_rule"))
    return {
        "id": job.job_id,
        "title": spec.name if spec else str(job.payload["spec"].get("name", "–")),
        "period": _period(spec) if spec else "asked of another release",
        "state": job.state,
        "how": _how(job),
        "share": percent(share) if share is not None else "–",
        "gain": against(gain, rule) if gain is not None and rule else "–",
    }


def _period(spec: BacktestSpec) -> str:
    days = spec.steps * spec.step_s / 86_400
    return f"{spec.start.day} {spec.start:%b %Y}, {days:g} day{'' if days == 1 else 's'}, {spec.sites} sites"


def _how(job: Job) -> str:
    if job.state == "running" and "share" in job.progress:
        return f"{100 * float(job.progress['share']):.0f} %, {job.progress.get('words', '')}"
    return str((job.problem or {}).get("detail", ""))
