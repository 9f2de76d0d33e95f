"""What the page is made of, over HTTP: open where it holds nothing, closed where it shows the fleet, cheap to ask again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from served import Served

from service.app import create_app
from service.web.routes import page_routes

PROXY = {"behind_tls_proxy": True, "public_hosts": ("plan.example.org",)}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = Served(tmp_path)
    yield found
    found.close()


@pytest.fixture
def client(served: Served) -> FlaskClient:
    return create_app(served.services, page_routes(served.services, release="1.2.3")).test_client()


def parts(page: str) -> list[str]:
    return sorted(set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)))


@pytest.mark.parametrize("address", ["/?site=pecos&tz=utc&hour=2026-11-22T08:00:00Z", "/what-ifs?one=x"])
def test_the_page_allows_nothing_but_its_own_parts(client: FlaskClient, address: str):
    answer = client.get(address)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    page = answer.text
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son[a-z]+=|https?://", page)
    assert len(parts(page)) >= 4
    for path in parts(page):
        part = client.get(path)
        assert part.status_code == 200
        assert "immutable" in part.headers["Cache-Control"]
        assert part.headers["X-Content-Type-Options"] == "nosniff"


def test_scripts_import_only_files_that_are_there(client: FlaskClient):
    scripts = [path for page in ("/", "/what-ifs") for path in parts(client.get(page).text) if path.endswith(".js")]
    assert len(scripts) == 2
    folder, waiting, seen = scripts[0].rsplit("/", 1)[0], [path.rsplit("/", 1)[1] for path in scripts], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        answer = client.get(f"{folder}/{name}")
        assert answer.status_code == 200, name
        waiting += sorted(set(re.findall(r'from "\./([a-z-]+\.js)"', answer.text)) - seen)
    static = {path.name for path in (Path(__file__).parents[2] / "service" / "web" / "static").glob("*.js")}
    assert seen == static


@pytest.mark.parametrize("path", ["/assets/x/nothing.js", "/assets/x/..%2Froutes.py", "/assets/x/", "/assets/x/__init__.py"])
def test_nothing_else_is_handed_out(client: FlaskClient, path: str):
    assert client.get(path).status_code == 404


def test_what_is_unchanged_is_not_sent_again(served: Served, client: FlaskClient):
    for path in ("/v1/now", f"/v1/plans/{served.plan.plan_id}/overview", f"/v1/plans/{served.plan.plan_id}/overview?site=pecos"):
        first = client.get(path)
        assert first.status_code == 200
        again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_now_names_the_plan_that_sites_are_served(served: Served, client: FlaskClient):
    told = client.get("/v1/now").json
    assert told["plan_id"] == served.plan.plan_id
    assert told["basis"] == "rule"
    assert told["who"] is None
    assert told["held"] == {}
    assert told["release"] == "1.2.3"
    assert client.get("/v1/now", headers=served.as_("planner")).json["who"] == {"role": "planner"}


def test_what_is_not_there_is_not_found(served: Served, client: FlaskClient):
    plan = served.plan.plan_id
    for path in ("/v1/plans/none/overview", f"/v1/plans/{plan}/overview?site=atlantis"):
        assert client.get(path).status_code == 404
    assert client.get(f"/v1/plans/{plan}/overview?sites=pecos").status_code == 422


def test_the_fleet_is_shown_to_planners_and_operators_alone(tmp_path: Path):
    served = Served(tmp_path, **PROXY)
    client = create_app(served.services, page_routes(served.services, release="1.2.3")).test_client()
    client.environ_base["HTTP_HOST"] = "plan.example.org"
    path = f"/v1/plans/{served.plan.plan_id}/overview"
    assert client.get("/").status_code == 200
    assert client.get(path).status_code == 401
    assert client.get("/v1/now").status_code == 401
    answers = {role: client.get(path, headers=served.as_(role)).status_code for role in served.tokens}
    assert answers == {"controller": 403, "feed": 403, "planner": 200, "operator": 200, "admin": 403}
    served.close()


@pytest.mark.parametrize(
    ("role", "status"), [("operator", 204), ("planner", 204), ("admin", 204), ("controller", 403), ("feed", 403)]
)
def test_people_open_a_session_by_key_and_machines_do_not(served: Served, client: FlaskClient, role: str, status: int):
    answer = client.post("/sign-in", json={}, headers=served.as_(role))
    assert answer.status_code == status
    if status == 204:
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert served.tokens[role].split(".")[1] not in cookie
        assert client.get("/v1/now").json["who"] == {"role": role}
    assert client.post("/sign-in", json={}, headers={"Authorization": "Bearer ws_wrong"}).status_code == 401


def test_a_back_test_of_another_release_leaves_the_list_readable(served: Served, client: FlaskClient):
    served.store.jobs.add("0" * 32, "backtest", {"spec": {"name": "elder <i>", "moon": "full"}}, by="test", at=served.now())
    page = client.get("/backtests")
    assert page.status_code == 200
    assert "elder &lt;i&gt;" in page.text
    assert "asked of another release" in page.text
