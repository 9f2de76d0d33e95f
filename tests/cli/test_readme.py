"""The README keeps its word: its links lead somewhere, its commands and options are there, its templates are read."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from worlds import START

from models.reading import parse, parse_yaml
from scenarios.apply import apply_patches
from scenarios.scenario_sets import WhatIfs
from service.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[list[str]]:
    """Words of each line of shell that begins with wattsplit, after settings and without its remark."""
    shell = "".join(re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^(?:[A-Z_]+=\S+ )?wattsplit ([^\n]+)$", shell, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def test_every_relative_link_leads_somewhere():
    titles = re.findall(r"^#+ (.*)$", README, flags=re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert len(links) > 40
    assert [link for link in links if link not in anchors and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_and_option_of_the_readme_is_there(words):
    command, rest = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("-")} <= known
    files = [word for word in rest if word.startswith("scenarios/")]
    assert all((ROOT / file).is_file() for file in files)


def test_the_template_of_what_ifs_fits_the_reference_fleet():
    from scenarios.feed import reference_problem

    base = reference_problem(START)
    wanted = parse(WhatIfs, parse_yaml((ROOT / "scenarios" / "template_what_ifs.yaml").read_bytes()))
    for patches in wanted.patches():
        assert apply_patches(base, patches).labels[-1] == "what-if"


def test_a_history_that_is_not_there_is_asked_for_as_what_it_is(wattsplit):
    ended = wattsplit("forecast", "paths", "reference", "--history", "history.csv")
    assert (ended.code, "history.csv: expected a history in a CSV file" in ended.err) == (3, True), ended.err
