"""The API's description is valid, true, and readable by people."""

import contextlib
import os
import re
from html.parser import HTMLParser

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from served import Served

from service.http.problems import CODES


def described(served: Served):
    return served.client.get("/openapi.json").json


def test_the_description_is_valid_openapi_3_1(served: Served):
    api = described(served)
    assert api["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(api).iter_errors()) == []


def test_every_operation_says_who_may_call_it_and_how_it_refuses(served: Served):
    ids = []
    for path, methods in described(served)["paths"].items():
        for method, op in methods.items():
            ids.append(op["operationId"])
            assert op["summary"], path
            assert op["description"], path
            assert op["x-wattsplit-roles"] or op["security"] == [], path
            assert "500" in op["responses"], path
            assert ("401" in op["responses"]) == (op["security"] != []), path
            if method == "post":
                assert "Idempotency-Key" in [p["name"] for p in op["parameters"]], path
    assert len(ids) == len(set(ids)) > 35


def test_nothing_is_described_as_anything(served: Served):
    """Every property of every schema has a type, so that clients can be generated."""
    vague = [
        f"{name}.{field}"
        for name, schema in described(served)["components"]["schemas"].items()
        for field, content in schema.get("properties", {}).items()
        if not {"type", "$ref", "anyOf", "oneOf", "const", "enum", "allOf"} & set(content)
    ]
    assert vague == []


class Page(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.inline = 0

    def handle_starttag(self, tag, attrs):
        words = dict(attrs)
        self.links += [words[name] for name in ("href", "src") if words.get(name)]
        self.ids |= {words["id"]} if words.get("id") else set()
        self.inline += tag in ("script", "style") or "style" in words or any(name.startswith("on") for name in words)


def test_the_reference_page_shows_it_all_with_nothing_from_elsewhere(served: Served):
    page = Page()
    answer = served.client.get("/docs")
    page.feed(answer.text)
    assert answer.mimetype == "text/html"
    assert page.inline == 0
    assert "`" not in answer.text
    assert not [link for link in page.links if link.startswith(("http", "//"))]
    assert not {link[1:] for link in page.links if link.startswith("#")} - page.ids
    for local in {link for link in page.links if link.startswith("/")}:
        assert served.client.get(local).status_code == 200
    api = described(served)
    assert {op["operationId"] for methods in api["paths"].values() for op in methods.values()} <= page.ids
    assert {f"problem-{code}" for code in CODES} <= page.ids
    assert {f"schema-{name}" for name in api["components"]["schemas"]} <= page.ids


def test_every_problem_type_leads_to_the_reference_page(served: Served):
    problem = served.client.get("/nothing").json
    assert problem["type"].startswith("/docs#problem-")
    page = Page()
    page.feed(served.client.get("/docs").text)
    assert problem["type"].removeprefix("/docs#") in page.ids


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Give half of the requests a site, a plan and a series that exist."""
    if not path_parameters or len(str(path_parameters)) % 2:
        return path_parameters
    real = {"site": "pecos", "plan": "latest", "series": "hashprice", "number": "1", "version": "1"}
    return {name: real.get(name, value) for name, value in path_parameters.items()}


MEANT = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
EXAMPLES = int(os.environ.get("WATTSPLIT_TEST_EXAMPLES", "5"))


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as described", "against it"])
def test_no_generated_request_breaks_the_service(served: Served, mode):
    load_all_checks()
    checks = [check for check in CHECKS.get_all() if check.__name__ in MEANT]
    assert len(checks) == len(MEANT)
    api = schemathesis.openapi.from_wsgi("/openapi.json", served.app, headers=served.as_("operator"))
    sent = sum(send(served, result.ok(), mode, checks) for result in api.get_all_operations())
    assert sent > 30 * EXAMPLES / 2


def send(served: Served, operation, mode, checks) -> int:
    """Send generated requests of one operation in the name of a role that may; return how many."""
    roles = operation.definition.raw["x-wattsplit-roles"]
    role = next((r for r in ("operator", "controller", "admin", "feed", "planner") if r in roles), None)
    sent = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def holds(case):
        nonlocal sent
        case.headers = {**(case.headers or {}), "Host": "localhost", **(served.as_(role) if role else {})}
        answer = case.call()
        sent += 1
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["wattsplit-request-id"][0])
        case.validate_response(answer, checks=checks)

    with contextlib.suppress(Unsatisfiable):  # there is nothing to send against a description without input
        holds()
    return sent
