"""Whether the plan answers this problem at all: the same input, grid, sites, machines and workloads, one value per step."""

from collections.abc import Iterable, Iterator, Sequence

from models.plan import Plan, SitePlan, WorkloadPlan
from models.problem import Problem
from models.site import Site
from models.workload import Workload
from optimizer.audit.ground import Findings, stamp


def check_identity(problem: Problem, plan: Plan, found: Findings) -> None:
    """Note where the plan was made for another input."""
    if plan.problem_name != problem.name:
        found.say_all("plan", f"made for problem {plan.problem_name!r}, audited against {problem.name!r}")
    if plan.problem_digest != problem.digest:
        found.say_all("plan", f"made for input {plan.problem_digest}, audited against {problem.digest}")
    if plan.labels != problem.labels:
        found.say_all("plan", f"labelled {list(plan.labels)}, its input is labelled {list(problem.labels)}")
    if plan.grid != problem.grid:
        found.say_all(
            "plan",
            f"runs over {plan.grid.steps} steps from {stamp(plan.grid.start)}, "
            f"the problem over {problem.grid.steps} from {stamp(problem.grid.start)}, or with other lengths or days",
        )


def shape_faults(problem: Problem, plan: Plan) -> Iterator[str]:
    """Yield everything that is missing, unknown or of the wrong length; the other rules need none of it."""
    yield from _names("plan: sites", plan.sites, (s.name for s in problem.fleet.sites))
    yield from _names("plan: workloads", plan.workloads, (w.name for w in problem.fleet.workloads))
    for site in problem.fleet.sites:
        if site.name in plan.sites:
            yield from _site(problem, site, plan.sites[site.name])
    for workload in problem.fleet.workloads:
        if workload.name in plan.workloads:
            yield from _workload(problem, workload, plan.workloads[workload.name])


def _site(problem: Problem, site: Site, made: SitePlan) -> Iterator[str]:
    yield from _names(f"{site.name}: groups", made.groups, (g.name for g in site.asic_groups))
    yield from _names(f"{site.name}: pools", made.pools, (p.name for p in site.gpu_pools))
    series: dict[str, Sequence[int]] = {
        f"{site.name}: {name}": values
        for name, values in (
            ("draw_w", made.draw_w),
            ("hashing_w", made.hashing_w),
            ("inference_w", made.inference_w),
            ("limit_w", made.limit_w),
        )
    }
    for group in site.asic_groups:
        if group.name in made.groups:
            counts = made.groups[group.name].mode_blocks
            yield from _names(f"{site.name}/{group.name}: modes", counts, (m.name for m in group.modes))
            series |= {f"{site.name}/{group.name}: blocks in {mode}": values for mode, values in counts.items()}
    known = {w.name for w in problem.fleet.workloads}
    warmable = {pool.name: pool.warm_w is not None for pool in site.gpu_pools}
    for name, pool in made.pools.items():
        series[f"{site.name}/{name}: nodes_on"] = pool.nodes_on
        if pool.nodes_warm is not None:
            series[f"{site.name}/{name}: nodes_warm"] = pool.nodes_warm
        if name in warmable and (pool.nodes_warm is None) == warmable[name]:
            yield f"{site.name}/{name}: nodes_warm is {'missing' if warmable[name] else 'there, though none can be warm'}"
        if unknown := sorted(set(pool.work_per_h) - known):
            yield f"{site.name}/{name}: works for {unknown}, the fleet has no such workload"
        series |= {f"{site.name}/{name}: work for {workload}": v for workload, v in pool.work_per_h.items()}
    yield from _lengths(problem, series)


def _workload(problem: Problem, workload: Workload, made: WorkloadPlan) -> Iterator[str]:
    series: dict[str, Sequence[int]] = {f"{workload.name}: unserved_work_per_h": made.unserved_work_per_h}
    for name, values in (("backlog_work", made.backlog_work), ("late_work", made.late_work)):
        if (values is None) == (workload.kind == "batch"):
            yield f"{workload.name}: {name} is {'missing' if values is None else 'there'} for {workload.kind} work"
        if values is not None:
            series[f"{workload.name}: {name}"] = values
    yield from _lengths(problem, series)


def _names(where: str, got: Iterable[str], wanted: Iterable[str]) -> Iterator[str]:
    got, wanted = set(got), set(wanted)
    if missing := sorted(wanted - got):
        yield f"{where}: missing {missing}"
    if unknown := sorted(got - wanted):
        yield f"{where}: unknown {unknown}"


def _lengths(problem: Problem, series: dict[str, Sequence[int]]) -> Iterator[str]:
    steps = problem.grid.steps
    for name, values in series.items():
        if len(values) < steps:
            first = f"step {len(values)} ({stamp(problem.grid.starts[len(values)])})"
            yield f"{name}: expected {steps} values, one per step, got {len(values)}; {first} is the first without"
        elif len(values) > steps:
            yield f"{name}: expected {steps} values, one per step, got {len(values)}"
