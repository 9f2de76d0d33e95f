"""A fleet that was given with its optimum: another model than the product's, declared and compiled by the product's own layer.

It shows that the engine needs nothing of the product's elements, and ties the compiler to a figure that it did not make:
the relaxation of the instance `fleet45x24s1` is worth 3,477,723.2122 USD. Power in MW, GPU work in node-hours per hour.

Beside the product's rules there are power of GPUs in concave segments, offers of demand response, and no sleep power.
The instance, a JSON file, is named by WATTSPLIT_INSTANCE (`--instance` of the benchmark), or lies in the folder of
WATTSPLIT_DATA or in `prototype/instances` beside that.
"""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from optimizer.compile import compile_model
from optimizer.compiled import Compiled
from optimizer.data import Groups, pairs
from optimizer.declare import STEPS, Model

FILE = "fleet45x24s1.json.gz"
RELAXATION_USD = 3_477_723.2122
SEGMENTS, MODES = 3, 3
NORMAL = 1


def instance() -> Path:
    """Return the path of the instance.

    Raises:
        FileNotFoundError: it lies in none of the places.
    """
    if named := os.environ.get("WATTSPLIT_INSTANCE"):
        return Path(named)
    folder = Path(os.environ.get("WATTSPLIT_DATA", "."))
    places = (folder / FILE, folder.parent / "prototype" / "instances" / FILE)
    if found := next((path for path in places if path.exists()), None):
        return found
    raise FileNotFoundError(f"{FILE} is not in the folder that WATTSPLIT_DATA names, nor in prototype/instances beside it")


def compiled(path: Path) -> Compiled:
    """Return the model of an instance as arrays."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        given = {k: np.array(v) if isinstance(v, list) else v for k, v in json.load(file).items()}
    return compile_model(_model(), _data(given))


def _model() -> Model:
    m = Model()
    for axis in ("SITES", "GROUPS", "MODES", "POOLS", "SEGMENTS", "OFFERS", "PROMPT", "BATCH", "HUBS", STEPS):
        m.axis(axis)
    m.sparse("TAKES", "SITES")
    m.sparse("PROMPT_ROUTES", "PROMPT", "HUBS")
    m.sparse("BATCH_ROUTES", "BATCH", "HUBS")
    m.sparse("CALLED", "OFFERS", STEPS)
    for name, by, of in (("groups_at", "SITES", "GROUPS"), ("pools_at", "SITES", "POOLS"), ("pools_of", "HUBS", "POOLS"),
                         ("groups_of_offer", "OFFERS", "GROUPS"), ("hubs_of_prompt", "PROMPT", "HUBS"),
                         ("hubs_of_batch", "BATCH", "HUBS"), ("prompt_of", "HUBS", "PROMPT"),
                         ("batch_of", "HUBS", "BATCH")):  # fmt: skip
        m.ragged(name, by=[by], of=[of])
    for name, by in (("up", "GROUPS"), ("down", "GROUPS"), ("node_up", "POOLS")):
        m.ragged(name, by=[by, STEPS], of=[STEPS])
    for name, *over in (
        ("limit", "SITES", STEPS), ("usd_per_mw", "SITES", STEPS), ("ramp", "SITES"), ("draw_before", "SITES"),
        ("peak_before", "SITES"), ("peak_usd", "SITES"), ("take", "TAKES"), ("take_usd", "TAKES"),
        ("blocks", "GROUPS"), ("on_before", "GROUPS"), ("block_mw", "GROUPS", "MODES"), ("block_usd", "GROUPS", "MODES", STEPS),
        ("start_usd", "GROUPS", STEPS), ("nodes", "POOLS"), ("nodes_before", "POOLS"), ("node_mw", "POOLS"),
        ("node_start_usd", "POOLS"), ("room", "POOLS", "SEGMENTS"), ("work_mw", "POOLS", "SEGMENTS"),
        ("most_offer", "OFFERS"), ("least_offer", "OFFERS"), ("offer_usd", "OFFERS"),
        ("prompt_nodes", "PROMPT_ROUTES"), ("prompt_usd", "PROMPT_ROUTES"), ("batch_nodes", "BATCH_ROUTES"),
        ("batch_usd", "BATCH_ROUTES"), ("asked", "PROMPT", STEPS), ("unserved_usd", "PROMPT"), ("arrived", "BATCH", STEPS),
        ("none_before", "BATCH"), ("may_wait", "BATCH", STEPS), ("late_usd", "BATCH"), ("hours", STEPS),
    ):  # fmt: skip
        m.parameter(name, *over)
    _machines(m)
    _sites(m)
    _work(m)
    return m


def _machines(m: Model) -> None:
    m.variable("in_mode", "GROUPS", "MODES", STEPS, integer=True, bounds=lambda m, g, k, t: (0, m.blocks[g]))
    m.variable("on", "GROUPS", STEPS, integer=True, bounds=lambda m, g, t: (0, m.blocks[g]))
    for name in ("start", "stop"):
        m.variable(name, "GROUPS", STEPS, bounds=lambda m, g, t: (0, m.blocks[g]))
    m.variable("nodes_on", "POOLS", STEPS, integer=True, bounds=lambda m, p, t: (0, m.nodes[p]))
    for name in ("node_start", "node_stop"):
        m.variable(name, "POOLS", STEPS, bounds=lambda m, p, t: (0, m.nodes[p]))
    m.variable("work", "POOLS", "SEGMENTS", STEPS)

    @m.constraint("GROUPS", STEPS)
    def modes_add_up(m, g, t):
        return sum(m.in_mode[g, k, t] for k in range(MODES)) == m.on[g, t]

    @m.constraint("GROUPS", STEPS)
    def starts_and_stops(m, g, t):
        return m.on[g, t] - m.previous(m.on, m.on_before, g, t) == m.start[g, t] - m.stop[g, t]

    @m.constraint("GROUPS", STEPS)
    def min_up(m, g, t):
        return sum(m.start[g, h] for h in m.up[g, t]) <= m.on[g, t]

    @m.constraint("GROUPS", STEPS)
    def min_down(m, g, t):
        return sum(m.stop[g, h] for h in m.down[g, t]) <= m.blocks[g] - m.on[g, t]

    @m.constraint("POOLS", STEPS)
    def node_balance(m, p, t):
        return m.nodes_on[p, t] - m.previous(m.nodes_on, m.nodes_before, p, t) == m.node_start[p, t] - m.node_stop[p, t]

    @m.constraint("POOLS", STEPS)
    def node_min_up(m, p, t):
        return sum(m.node_start[p, h] for h in m.node_up[p, t]) <= m.nodes_on[p, t]

    @m.constraint("POOLS", "SEGMENTS", STEPS)
    def segment_room(m, p, k, t):
        return m.work[p, k, t] <= m.room[p, k] * (m.nodes_on[p, t] - m.node_start[p, t])

    m.earns("hash", ("SITES", STEPS), lambda m, s, t: sum(
        m.block_usd[g, k, t] * m.in_mode[g, k, t] for g in m.groups_at[s] for k in range(MODES)))  # fmt: skip
    m.earns("starts", ("SITES", STEPS), lambda m, s, t: sum(-m.start_usd[g, t] * m.start[g, t] for g in m.groups_at[s]))
    m.earns("node_starts", ("SITES", STEPS), lambda m, s, t: sum(
        -m.node_start_usd[p] * m.node_start[p, t] for p in m.pools_at[s]))  # fmt: skip


def _sites(m: Model) -> None:
    m.variable("draw", "SITES", STEPS, bounds=lambda m, s, t: (0, m.limit[s, t]))
    m.variable("new_peak", "SITES", bounds=lambda m, s: (m.peak_before[s], np.inf))
    m.variable("short", "TAKES", bounds=lambda m, s: (0, m.take[s]))
    m.variable("offered", "OFFERS", bounds=lambda m, d: (0, m.most_offer[d]))
    m.variable("offers", "OFFERS", integer=True, bounds=lambda m, d: (0, 1))

    @m.constraint("SITES", STEPS)
    def draw_balance(m, s, t):
        miners = sum(m.block_mw[g, k] * m.in_mode[g, k, t] for g in m.groups_at[s] for k in range(MODES))
        nodes = sum(m.node_mw[p] * m.nodes_on[p, t] for p in m.pools_at[s])
        working = sum(m.work_mw[p, k] * m.work[p, k, t] for p in m.pools_at[s] for k in range(SEGMENTS))
        return m.draw[s, t] == miners + nodes + working

    @m.constraint("SITES", STEPS)
    def ramps(m, s, t):
        return (-m.ramp[s], m.draw[s, t] - m.previous(m.draw, m.draw_before, s, t), m.ramp[s])

    @m.constraint("SITES", STEPS)
    def peak_covers(m, s, t):
        return m.draw[s, t] <= m.new_peak[s]

    @m.constraint("CALLED")
    def backed(m, d, t):
        return m.offered[d] <= sum(m.block_mw[g, k] * m.in_mode[g, k, t] for g in m.groups_of_offer[d] for k in range(MODES))

    @m.constraint("OFFERS")
    def at_most(m, d):
        return m.offered[d] <= m.most_offer[d] * m.offers[d]

    @m.constraint("OFFERS")
    def at_least(m, d):
        return m.offered[d] >= m.least_offer[d] * m.offers[d]

    m.ragged("all_steps", by=["TAKES"], of=[STEPS])

    @m.constraint("TAKES")
    def take_covers(m, s):
        return sum(m.hours[t] * m.draw[s, t] for t in m.all_steps[s]) + m.short[s] >= m.take[s]

    m.sparse("FIRST", "SITES", STEPS)
    m.sparse("FIRST_OF_TAKES", "SITES", STEPS)
    m.ragged("offers_at", by=["SITES"], of=["OFFERS"])
    m.earns("energy", ("SITES", STEPS), lambda m, s, t: -m.usd_per_mw[s, t] * m.draw[s, t])
    m.earns("peaks", ("FIRST",), lambda m, s, t: -m.peak_usd[s] * (m.new_peak[s] - m.peak_before[s]))
    m.earns("shortfall", ("FIRST_OF_TAKES",), lambda m, s, t: -m.take_usd[s] * m.short[s])
    m.earns("reserve", ("FIRST",), lambda m, s, t: sum(m.offer_usd[d] * m.offered[d] for d in m.offers_at[s]))


def _work(m: Model) -> None:
    m.variable("routed", "PROMPT_ROUTES", STEPS)
    m.variable("routed_batch", "BATCH_ROUTES", STEPS)
    m.variable("unserved", "PROMPT", STEPS)
    m.variable("backlog", "BATCH", STEPS)
    m.variable("late", "BATCH", STEPS)

    @m.constraint("PROMPT", STEPS)
    def demand_met(m, w, t):
        return sum(m.routed[w, h, t] for h in m.hubs_of_prompt[w]) + m.unserved[w, t] == m.asked[w, t]

    @m.constraint("BATCH", STEPS)
    def backlog_balance(m, w, t):
        done = sum(m.hours[t] * m.routed_batch[w, h, t] for h in m.hubs_of_batch[w])
        return m.backlog[w, t] - m.previous(m.backlog, m.none_before, w, t) + done == m.arrived[w, t]

    @m.constraint("BATCH", STEPS)
    def due(m, w, t):
        return m.backlog[w, t] <= m.may_wait[w, t] + m.late[w, t]

    @m.constraint("HUBS", STEPS)
    def hub_balance(m, h, t):
        supplied = sum(m.work[p, k, t] for p in m.pools_of[h] for k in range(SEGMENTS))
        prompt = sum(m.prompt_nodes[w, h] * m.routed[w, h, t] for w in m.prompt_of[h])
        return supplied == prompt + sum(m.batch_nodes[w, h] * m.routed_batch[w, h, t] for w in m.batch_of[h])

    m.earns("prompt", ("PROMPT", STEPS), lambda m, w, t: sum(
        m.prompt_usd[w, h] * m.hours[t] * m.routed[w, h, t] for h in m.hubs_of_prompt[w]))  # fmt: skip
    m.earns("unserved", ("PROMPT", STEPS), lambda m, w, t: -m.unserved_usd[w] * m.hours[t] * m.unserved[w, t])
    m.earns("batch", ("BATCH", STEPS), lambda m, w, t: sum(
        m.batch_usd[w, h] * m.hours[t] * m.routed_batch[w, h, t] for h in m.hubs_of_batch[w]))  # fmt: skip
    m.earns("late", ("BATCH", STEPS), lambda m, w, t: -m.late_usd[w] * m.hours[t] * m.late[w, t])


def _data(given: dict[str, Any]) -> dict[str, Any]:
    sites, steps, hours = given["S"], given["T"], given["dt"]
    groups, pools, offers = given["gs"], given["ps"], given["ds"].astype(int)
    prompt, batch = given["Wi"], given["W"] - given["Wi"]
    hub_of_pool = given["region"][pools] * 2 + given["ptype"]
    known, hubs_of_pools = np.unique(hub_of_pool, return_inverse=True)
    served = np.array([[given["elig"][w, h // 2] and given["rho"][w, h % 2] > 0 for h in known] for w in range(given["W"])])
    routes = {"PROMPT": pairs(map(tuple, np.argwhere(served[:prompt]).tolist())),
              "BATCH": pairs(map(tuple, np.argwhere(served[prompt:]).tolist()))}  # fmt: skip
    takes = np.flatnonzero(given["top"] > 0)
    called = pairs((d, t) for d in range(offers.size) for t in range(int(given["dt0"][d]), int(given["dt1"][d])))
    normal_usd = given["hr"][:, :, None] * given["hashprice"] / 24

    def money(kind: str, first: int) -> list[float]:
        return [given["wprice"][first + w] - given["rcost"][first + w, known[h] // 2] for w, h in routes[kind].tolist()]

    def nodes(kind: str, first: int) -> list[float]:
        return [given["rho"][first + w, known[h] % 2] for w, h in routes[kind].tolist()]

    data: dict[str, Any] = {
        "SITES": [f"site-{n:04d}" for n in range(sites)],
        "GROUPS": [f"site-{s:04d}/row-{n}" for n, s in enumerate(groups.tolist())],
        "MODES": ["eco", "normal", "turbo"], "SEGMENTS": ["low", "middle", "high"],
        "POOLS": [f"site-{s:04d}/pool-{n}" for n, s in enumerate(pools.tolist())],
        "OFFERS": [f"site-{s:04d}/offer-{n}" for n, s in enumerate(offers.tolist())],
        "PROMPT": [f"prompt-{n}" for n in range(prompt)], "BATCH": [f"batch-{n}" for n in range(batch)],
        "HUBS": [f"hub-{n}" for n in known.tolist()], STEPS: [f"{t:04d}" for t in range(steps)],
        "TAKES": takes, "PROMPT_ROUTES": routes["PROMPT"], "BATCH_ROUTES": routes["BATCH"], "CALLED": called,
        "FIRST": pairs((s, 0) for s in range(sites)), "FIRST_OF_TAKES": pairs((s, 0) for s in takes.tolist()),
        "groups_at": Groups.of(sites, groups, np.arange(groups.size)), "pools_at": Groups.of(sites, pools, np.arange(pools.size)),
        "pools_of": Groups.of(known.size, hubs_of_pools, np.arange(pools.size)),
        "groups_of_offer": _joined(offers, groups), "offers_at": Groups.of(sites, offers, np.arange(offers.size)),
        "all_steps": Groups(np.full(takes.size, steps), np.tile(np.arange(steps), takes.size)),
        "up": _recent(given["gUT"], steps), "down": _recent(given["gDT"], steps), "node_up": _recent(given["pUT"], steps),
        "limit": given["limit"], "usd_per_mw": given["price"] * hours, "ramp": given["ramp"], "draw_before": given["P0"],
        "peak_before": given["pk0"], "peak_usd": given["dc"], "take": given["top"][takes], "take_usd": given["top_pen"][takes],
        "blocks": given["B"], "on_before": given["u0"], "block_mw": given["pw"], "block_usd": normal_usd * hours,
        "start_usd": given["gstart"][:, None] + given["warm"][:, None] * normal_usd[:, NORMAL],
        "nodes": given["N"], "nodes_before": given["n0"], "node_mw": given["idle"], "node_start_usd": given["pstart"],
        "room": given["segw"], "work_mw": given["segp"],
        "most_offer": given["dmax"], "least_offer": given["dmin"], "offer_usd": given["dpay"],
        "prompt_nodes": nodes("PROMPT", 0), "prompt_usd": money("PROMPT", 0),
        "batch_nodes": nodes("BATCH", prompt), "batch_usd": money("BATCH", prompt),
        "asked": given["dem"][:prompt], "unserved_usd": given["wpen"][:prompt], "arrived": given["dem"][prompt:],
        "none_before": np.zeros(batch), "may_wait": given["bmax"][prompt:], "late_usd": given["wpen"][prompt:],
        "hours": np.full(steps, hours),
    }  # fmt: skip
    for kind, name in (("PROMPT", "prompt"), ("BATCH", "batch")):
        w, h = routes[kind].T
        data |= {
            f"hubs_of_{name}": Groups.of(prompt if kind == "PROMPT" else batch, w, h),
            f"{name}_of": Groups.of(known.size, h, w),
        }
    return data


def _joined(offers: np.ndarray, groups: np.ndarray) -> Groups:
    """The groups at the site of each offer."""
    owner, member = np.nonzero(offers[:, None] == groups[None, :])
    return Groups.of(offers.size, owner, member)


def _recent(length: np.ndarray, steps: int) -> Groups:
    """For each machine and step, the steps of the last `length`, this one included."""
    windows = [np.arange(max(0, t - n + 1), t + 1) for n in length.tolist() for t in range(steps)]
    return Groups(np.array([w.size for w in windows]), np.concatenate(windows))
