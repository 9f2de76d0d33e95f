r"""Workloads: how much of each is routed to which hub, what stays unserved, waits or is late.

Interactive and reserved work is served in its step or not at all; batch work waits. Work is in millions of units (tokens,
or node-hours of reservations), rates are per hour and hold over the step.

Variables
    routed[w,h,t]      work of w done by the pools of hub h       >= 0                          [Mwork/h]
    unserved[w,t]      interactive or reserved work not done      0 .. demand                   [Mwork/h]
    backlog[w,t]       batch work that waits at the step's end    >= 0                          [Mwork]
    late[w,t]          the part of it that is overdue             >= 0                          [Mwork]

Constraints
    demand_met         sum over h of routed[w,h,t] + unserved[w,t] == demand[w,t]
    backlog_balance    backlog[w,t] - backlog[w,t-1] + hours[t] * sum over h of routed[w,h,t] == arrivals[w,t]
    due                backlog[w,t] <= not_yet_due[w,t] + late[w,t]

Arrivals come evenly over their step and are due `deadline_s` later; not_yet_due[w,t] is what has arrived by the end of t,
or waited at the start, and is due after it.

Contributes
    work_nodes         -nodes_per_mwork[w,h] * routed[w,h,t]
    inference_revenue  price_usd[w] * hours[t] * sum over h of routed[w,h,t]     interactive and batch
    reserved_revenue   booked_usd[w,t]                                           reserved, used or not
    unserved_penalty   -unserved_usd[w] * hours[t] * unserved[w,t]
    late_penalty       -late_usd[w] * hours[t] * late[w,t]
    routing_cost       -routing_usd[w,h] * hours[t] * routed[w,h,t]
"""

import numpy as np

from models.workload import BatchWorkload, InteractiveWorkload, ReservedWorkload
from optimizer.compiled import Floats
from optimizer.contribution import Contribution, Earning
from optimizer.data import Data, Groups, pairs
from optimizer.declare import STEPS, Expr, Model, Reading
from optimizer.sets import World
from optimizer.windows import not_yet_due, seconds_after

WORK_PER_MWORK = 1e6


def inference_demand(model: Model) -> Contribution:
    """Add every workload of the fleet."""
    demand = work_demand(model)
    _sets_and_parameters(model)
    model.variable("unserved", "PROMPT", STEPS, bounds=_demand)
    model.variable("backlog", "BATCH", STEPS)
    model.variable("late", "BATCH", STEPS)

    @model.constraint("PROMPT", STEPS)
    def demand_met(m: Reading, w: Expr, t: Expr) -> Expr:
        return _served(m, w, t) + m.unserved[w, t] == m.demand[w, t]

    @model.constraint("BATCH", STEPS)
    def backlog_balance(m: Reading, w: Expr, t: Expr) -> Expr:
        growth = m.backlog[w, t] - m.previous(m.backlog, m.backlog_before, w, t)
        return growth + m.hours[t] * _served(m, w, t) == m.arrivals[w, t]

    @model.constraint("BATCH", STEPS)
    def due(m: Reading, w: Expr, t: Expr) -> Expr:
        return m.backlog[w, t] <= m.not_yet_due[w, t] + m.late[w, t]

    return Contribution(
        work_nodes=demand.work_nodes,
        money=(
            Earning("inference_revenue", ("PAID_PER_WORK", STEPS), _inference_revenue),
            Earning("reserved_revenue", ("RESERVED", STEPS), _reserved_revenue),
            Earning("unserved_penalty", ("PROMPT", STEPS), _unserved_penalty),
            Earning("late_penalty", ("BATCH", STEPS), _late_penalty),
            Earning("routing_cost", ("WORKLOADS", STEPS), _routing_cost),
        ),
    )


def work_demand(model: Model) -> Contribution:
    """Add only what is asked of the hubs: one of the two sides that the coupling joins."""
    model.ragged("workloads_of", by=["HUBS"], of=["WORKLOADS"])
    model.parameter("nodes_per_mwork", "ROUTES")
    model.sources.append(demand_data)
    model.variable("routed", "ROUTES", STEPS, stage="service")
    return Contribution(work_nodes=_work_nodes)


def _sets_and_parameters(model: Model) -> None:
    for name in ("PROMPT", "BATCH", "RESERVED", "PAID_PER_WORK"):
        model.sparse(name, "WORKLOADS")
    model.ragged("hubs_of", by=["WORKLOADS"], of=["HUBS"])
    model.parameter("price_usd", "PAID_PER_WORK")
    model.parameter("routing_usd", "ROUTES")
    model.parameter("unserved_usd", "PROMPT")
    model.parameter("late_usd", "BATCH")
    model.parameter("backlog_before", "BATCH")
    model.parameter("demand", "PROMPT", STEPS)
    model.parameter("arrivals", "BATCH", STEPS)
    model.parameter("not_yet_due", "BATCH", STEPS)
    model.parameter("booked_usd", "RESERVED", STEPS)
    model.sources.append(workload_data)


def unserved(m: Reading, w: Expr, t: Expr) -> Expr:
    """Return interactive or reserved work that is not done. [Mwork/h]."""
    return m.unserved[w, t]


def waiting(m: Reading, w: Expr, t: Expr) -> Expr:
    """Return batch work that waits at the end of a step. [Mwork]."""
    return m.backlog[w, t]


def overdue(m: Reading, w: Expr, t: Expr) -> Expr:
    """Return the part of it that is late. [Mwork]."""
    return m.late[w, t]


def _demand(m: Reading, w: Expr, t: Expr) -> tuple[Expr, Expr]:
    return 0, m.demand[w, t]


def _served(m: Reading, w: Expr, t: Expr) -> Expr:
    return sum(m.routed[w, h, t] for h in m.hubs_of[w])


def _work_nodes(m: Reading, h: Expr, t: Expr) -> Expr:
    return sum(-m.nodes_per_mwork[w, h] * m.routed[w, h, t] for w in m.workloads_of[h])


def _inference_revenue(m: Reading, w: Expr, t: Expr) -> Expr:
    return m.price_usd[w] * m.hours[t] * _served(m, w, t)


def _reserved_revenue(m: Reading, w: Expr, t: Expr) -> Expr:
    return m.booked_usd[w, t]


def _unserved_penalty(m: Reading, w: Expr, t: Expr) -> Expr:
    return -m.unserved_usd[w] * m.hours[t] * m.unserved[w, t]


def _late_penalty(m: Reading, w: Expr, t: Expr) -> Expr:
    return -m.late_usd[w] * m.hours[t] * m.late[w, t]


def _routing_cost(m: Reading, w: Expr, t: Expr) -> Expr:
    return sum(-m.routing_usd[w, h] * m.hours[t] * m.routed[w, h, t] for h in m.hubs_of[w])


def demand_data(world: World) -> Data:
    """Return the workloads of each hub, and how many of its nodes one million units per hour keep busy."""
    routes = pairs((w, h) for h, hub in enumerate(world.hubs) for w in hub.work_per_node_h)
    return {
        "workloads_of": Groups.of(len(world.hubs), routes[:, 1], routes[:, 0]),
        "nodes_per_mwork": [WORK_PER_MWORK / world.hubs[h].work_per_node_h[w] for w, h in routes.tolist()],
    }


def workload_data(world: World) -> Data:
    """Return sets and parameters of the workloads of a fleet."""
    steps = len(world.step_s)
    routes = pairs((w, h) for h, hub in enumerate(world.hubs) for w in hub.work_per_node_h)
    batch = [(n, w) for n, w in enumerate(world.workloads) if isinstance(w, BatchWorkload)]
    reserved = [(n, w) for n, w in enumerate(world.workloads) if isinstance(w, ReservedWorkload)]
    prompt = [(n, w) for n, w in enumerate(world.workloads) if isinstance(w, InteractiveWorkload | ReservedWorkload)]
    per_work = [(n, w) for n, w in enumerate(world.workloads) if not isinstance(w, ReservedWorkload)]
    lots = world.problem.state.backlog
    rate = {w.name: np.array(world.problem.demand_work_per_h[w.name]) / WORK_PER_MWORK for w in world.workloads}
    return {
        "PROMPT": [n for n, _ in prompt],
        "BATCH": [n for n, _ in batch],
        "RESERVED": [n for n, _ in reserved],
        "PAID_PER_WORK": [n for n, _ in per_work],
        "hubs_of": Groups.of(len(world.workloads), routes[:, 0], routes[:, 1]),
        "price_usd": [w.price_usd_per_mwork for _, w in per_work],
        "routing_usd": [world.hubs[h].routing_usd_per_mwork[w] for w, h in routes.tolist()],
        "unserved_usd": [w.unserved_usd_per_mwork for _, w in prompt],
        "late_usd": [w.late_usd_per_mwork_h for _, w in batch],
        "backlog_before": [sum(lot.work for lot in lots.get(w.name, ())) / WORK_PER_MWORK for _, w in batch],
        "demand": np.reshape([rate[w.name] for _, w in prompt], (len(prompt), steps)),
        "arrivals": np.reshape([rate[w.name] * world.hours for _, w in batch], (len(batch), steps)),
        "not_yet_due": np.reshape([_not_yet_due(world, w) for _, w in batch], (len(batch), steps)),
        "booked_usd": np.reshape(
            [w.price_usd_per_mwork * rate[w.name] * world.hours for _, w in reserved], (len(reserved), steps)
        ),
    }


def _not_yet_due(world: World, workload: BatchWorkload) -> Floats:
    lots = world.problem.state.backlog.get(workload.name, ())
    arrivals = np.array(world.problem.demand_work_per_h[workload.name]) * world.hours
    due_s = seconds_after(world.problem.grid, [lot.due for lot in lots])
    waiting = np.array([lot.work for lot in lots], dtype=np.float64)
    work = not_yet_due(world.start_s, world.step_s, arrivals, workload.deadline_s, waiting, due_s)
    return np.asarray(work / WORK_PER_MWORK)
