"""What a what-if can be made of, over HTTP: the library, what can be changed, and what a change means before it is asked."""

import json

import pytest
from served import Served

from scenarios.apply import patchable
from scenarios.library import load_scenario, scenario_names
from service.cli.app import app as commands


def meaning(served: Served, *changes: str):
    return served.client.get("/v1/scenario-changes", query_string={"set": "\n".join(changes)})


def test_the_library_is_the_one_of_the_command_line(served: Served):
    from typer.testing import CliRunner

    listed = json.loads(CliRunner().invoke(commands, ["scenario", "list", "--json"]).stdout)
    told = served.client.get("/v1/scenario-library").json["items"]
    assert [(one["name"], one["title"], one["why"]) for one in told] == [
        (one["name"], one["title"], one["why"]) for one in listed
    ]
    assert [[change["set"] for change in one["changes"]] for one in told] == [one["patches"] for one in listed]


@pytest.mark.parametrize("name", scenario_names())
def test_the_parts_of_a_change_of_the_library_make_the_same_change(served: Served, name: str):
    (shown,) = [one for one in served.client.get("/v1/scenario-library").json["items"] if one["name"] == name]
    for written, change in zip(load_scenario(name).patches, shown["changes"], strict=True):
        named = f"[{change['name']}]" if change["name"] else ""
        hours = [change["from_h"], change["to_h"]]
        window = f"@{hours[0] or 0:g}h..{'' if hours[1] is None else f'{hours[1]:g}h'}" if any(hours) else ""
        sign = "" if change["value"].startswith(":=") else "="
        assert f"{change['quantity']}{named}{window}{sign}{change['value']}" == written


def test_every_name_that_can_be_changed_is_told_with_its_unit_and_an_example_that_holds(served: Served):
    told = served.client.get("/v1/scenario-quantities").json
    assert told["hours"] == served.problem.grid.steps
    names = [(one["quantity"], name) for one in told["items"] for name in one["names"] or ["*"]]
    assert names == [(found.quantity, found.name) for found in patchable(served.problem)]
    for one in told["items"]:
        assert meaning(served, one["example"]["set"]).json["items"] == [one["example"]]
        assert one["regions"] == (
            ["nordic", "texas"] if one["quantity"] in ("limit", "site", "contract_price", "connection") else []
        )
        assert one["in_hours"] == (one["quantity"] not in ("contract_price", "work_price", "connection"))
        with_percentage = meaning(served, one["example"]["set"].split("=")[0] + "=-1%").status_code == 200
        assert with_percentage == ("percentage" in one["expected"]), one
        assert (one["unit"] in one["expected"]) == (one["quantity"] not in ("outage", "difficulty"))
    units = {one["quantity"]: one["unit"] for one in told["items"]}
    assert (units["hashprice"], units["limit"], units["site"]) == ("USD/PH/day", "W, kW, MW or GW", "on or off")


def test_what_changes_mean_is_said_before_they_are_asked(served: Served):
    told = meaning(served, "hashprice=-20%", "limit[pecos]@6h..10h=1.5MW").json["items"]
    assert [one["words"] for one in told] == ["hashprice 20 % lower", "limit of pecos set to 1.5 MW, from hour 6 to hour 10"]
    assert (told[1]["quantity"], told[1]["name"], told[1]["from_h"], told[1]["to_h"], told[1]["value"]) == (
        "limit", "pecos", 6.0, 10.0, "1.5MW",
    )  # fmt: skip
    assert meaning(served, "limit[texas]:=1MW").json["items"][0]["value"] == ":=1MW"
    together = meaning(served, "connection[pecos]=+1MW", "limit[pecos]=3.5MW")
    assert together.status_code == 200, "the second holds only after the first"
    assert meaning(served, "limit[pecos]=3.5MW").status_code == 422


def test_a_fault_is_told_alike_before_and_when_it_is_asked(served: Served):
    wrong = ["hashprice=-20%", "limit[pecoss]=-50%"]
    before = meaning(served, *wrong)
    assert (before.status_code, before.json["code"]) == (422, "invalid_input")
    (fault,) = before.json["errors"]
    assert (fault["in"], fault["pointer"], fault["code"]) == ("query", "/set/1", "patch_name")
    assert "did you mean pecos?" in fault["detail"]
    several = meaning(served, "hashprise=-20%", "hashprice=x").json["errors"]
    assert [(one["pointer"], one["code"]) for one in several] == [("/set/0", "patch_quantity"), ("/set/1", "patch_value")]
    asked = served.client.post(
        "/v1/scenarios", json={"name": "x", "set": ["hashprise=-20%", "hashprice=x"]}, headers=served.as_("planner")
    )
    assert [one["detail"] for one in asked.json["errors"]] == [one["detail"] for one in several]
    assert [one["pointer"] for one in asked.json["errors"]] == [one["pointer"] for one in several]


def test_controllers_and_feeds_learn_nothing_of_it(served: Served):
    for path in ("library", "quantities", "changes?set=hashprice=1"):
        answers = {
            role: served.client.get(f"/v1/scenario-{path}", headers=served.as_(role)).status_code for role in served.tokens
        }
        assert answers == {"controller": 403, "feed": 403, "planner": 200, "operator": 200, "admin": 403}
