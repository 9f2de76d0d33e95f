"""Counts within what is there, min up and min down, and the time that starting machines lose.

Every block and node is followed one by one, in cohorts that started or stopped together: whoever has run longest stops
first, whoever has rested longest starts first. No rule is stricter than this order, and any other order keeps fewer.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from models.asic import AsicGroup
from models.gpu import GpuPool
from models.plan import GroupPlan, SitePlan
from models.state import Cohort
from models.time_grid import TimeGrid
from optimizer.audit.ground import Findings, SiteFacts, barred, seconds_after

LONG_AGO = -(10**18)


@dataclass
class Life:
    """What happened to the machines of one group or pool, by step.

    unit: "blocks" or "nodes".
    on: how many are on; starts, stops: changes at the start of the step. A node that gets warm stops, one that wakes does
        not start.
    early: stopped before their minimum run, among those that the plan itself started.
    forced: the same among those that ran already when the plan began.
    locked: of the latter, how many are still within their minimum run when the step begins.
    too_soon: started before their minimum rest was over.
    lost_s: machine-seconds of the step in which running machines warm up or load.
    """

    unit: str
    on: list[int]
    starts: list[int]
    stops: list[int]
    early: list[int]
    forced: list[int]
    locked: list[int]
    too_soon: list[int]
    lost_s: list[int]


@dataclass(frozen=True)
class Times:
    """How long machines of one kind must run, must rest, and take until they work, and from warm, in seconds."""

    min_up_s: int
    min_down_s: int
    idle_s: int
    wake_s: int = 0


def minimum_run_s(machine: AsicGroup | GpuPool) -> int:
    """How long a machine that starts must stay on; a node is never stopped while it loads."""
    return machine.min_up_s if isinstance(machine, AsicGroup) else max(machine.min_up_s, machine.load_s)


def live(
    unit: str, on: list[int], total: int, times: Times, started: deque[list[int]], stopped: deque[list[int]], grid: TimeGrid,
    warm: Sequence[int] = (), warm_before: int = 0,
) -> Life:  # fmt: skip
    """Follow `total` machines through the counts `on`; `started` and `stopped` hold [second, count], oldest first.

    `warm` others keep what they loaded, by step. As few as can be have started: one more on or warm than before has; any
    other that is on has woken, and as it was warm it is held by no minimum run. Who stops while it loads gets not warm.
    """
    n = len(on)
    life = Life(unit, on, [0] * n, [0] * n, [0] * n, [0] * n, [0] * n, [0] * n, [0] * n)
    before = sum(count for _, count in started)
    carried = before  # how many of those at the old end of `started` ran before the plan began
    stopped.appendleft([LONG_AGO, total - before - sum(count for _, count in stopped)])
    for t in range(n):
        now_s = grid.offset_s[t]
        up_s, down_s = now_s - times.min_up_s, now_s - times.min_down_s
        life.locked[t] = _younger(started, up_s, carried) if carried else 0
        kept_warm = warm[t] if warm else 0
        woken = 0
        if on[t] != before or kept_warm != warm_before:
            more = on[t] + kept_warm - before - warm_before
            starts = max(0, more, more + _loading(started, before - on[t], now_s - times.idle_s)) if kept_warm else max(0, more)
            woken = max(0, on[t] - before - starts)
            stops = before + starts + woken - on[t]
            if woken:
                started.appendleft([LONG_AGO, woken])
                carried += woken
            if starts > 0:
                life.starts[t] = starts
                life.too_soon[t] = sum(count for since, count in _take(stopped, starts) if since > down_s)
                started.append([now_s, starts])
            if stops > 0:
                life.stops[t] = stops
                for since, count in _take(started, stops):
                    of_state = min(carried, count)
                    carried -= of_state
                    if since > up_s:
                        life.forced[t] += of_state
                        life.early[t] += count - of_state
                stopped.append([now_s, stops])
            before, warm_before = on[t], kept_warm
        life.lost_s[t] = _lost_s(started, now_s, grid.step_s[t], times.idle_s) + woken * min(times.wake_s, grid.step_s[t])
    return life


def _take(queue: deque[list[int]], count: int) -> list[tuple[int, int]]:
    """Remove machines from the old end, and say since when and how many."""
    taken = []
    while count and queue:
        since, there = queue[0]
        part = min(there, count)
        taken.append((since, part))
        count -= part
        if part == there:
            queue.popleft()
        else:
            queue[0][1] -= part
    return taken


def _loading(started: deque[list[int]], stops: int, loaded_s: int) -> int:
    """How many of the oldest, who would stop, started after an instant."""
    return sum(count for since, count in _take(deque(map(list, started)), max(0, stops)) if since > loaded_s)


def _younger(started: deque[list[int]], up_s: int, carried: int) -> int:
    """Machines of the state that are still within their minimum run."""
    young = 0
    for since, count in started:
        if carried <= 0:
            break
        if since > up_s:
            young += min(count, carried)
        carried -= count
    return young


def _lost_s(started: deque[list[int]], now_s: int, length_s: int, idle_s: int) -> int:
    lost = 0
    for since, count in reversed(started):
        until = since + idle_s
        if until <= now_s:
            break
        lost += count * (min(until, now_s + length_s) - now_s)
    return lost


def cohorts(dated: Sequence[Cohort], grid: TimeGrid) -> deque[list[int]]:
    """Return cohorts as [instant in seconds after the grid's start, count], oldest first."""
    return deque(sorted([seconds_after(grid.start, c.since), c.count] for c in dated))


def group_on(group: AsicGroup, made: GroupPlan) -> list[int]:
    """Blocks that hash in any mode, by step."""
    return [sum(counts) for counts in zip(*(made.mode_blocks[m.name] for m in group.modes), strict=True)]


def warm_nodes(pool: GpuPool, made: SitePlan) -> Sequence[int]:
    """Nodes of a pool that are warm, by step."""
    plan = made.pools[pool.name]
    return plan.nodes_warm if plan.nodes_warm is not None else [0] * len(plan.nodes_on)


def check_machines(facts: SiteFacts, made: SitePlan, grid: TimeGrid, found: Findings) -> dict[str, Life] | None:
    """Follow all machines of a site; None where it has more of them on than exist, since then nothing else can be told."""
    lives: dict[str, Life] = {}
    sound = True
    for group in facts.site.asic_groups:
        on = group_on(group, made.groups[group.name])
        sound &= _counts(facts, group.name, "blocks", on, group.blocks, found)
        state = facts.now.groups[group.name]
        times = Times(group.min_up_s, group.min_down_s, group.warm_up_s)
        started, stopped = cohorts(state.started, grid), cohorts(state.stopped, grid)
        lives[group.name] = live("blocks", on, group.blocks, times, started, stopped, grid)
    for pool in facts.site.gpu_pools:
        nodes_on, warm = list(made.pools[pool.name].nodes_on), warm_nodes(pool, made)
        there = [n + w for n, w in zip(nodes_on, warm, strict=True)]
        sound &= _counts(facts, pool.name, "nodes", there, pool.nodes, found, "on" if pool.warm_w is None else "on or warm")
        times, now = Times(minimum_run_s(pool), 0, pool.load_s, pool.wake_s), facts.now.pools[pool.name]
        started = cohorts(now.started, grid)
        life = live("nodes", nodes_on, pool.nodes, times, started, deque(), grid, warm, now.nodes_warm)
        for t, starts in enumerate(life.starts):
            if starts > nodes_on[t]:
                words = f"{starts - nodes_on[t]} nodes get warm that were off, only nodes that are on can"
                found.say(facts.site.name, t, f"{pool.name}: {words}")
        lives[pool.name] = life
    if not sound:
        return None
    for machine in facts.machines:
        _times(facts, machine, lives[machine.name], found)
        if isinstance(machine, AsicGroup):
            _heat(facts, machine, made.groups[machine.name], found)
            _daily_starts(facts, machine, lives[machine.name], grid, found)
    return lives


def _counts(facts: SiteFacts, name: str, unit: str, on: Sequence[int], there: int, found: Findings, how: str = "on") -> bool:
    sound = True
    for t, count in enumerate(on):
        if count > there:
            found.say(facts.site.name, t, f"{name}: {count} {unit} {how}, there are {there}")
            sound = False
        elif count and facts.dark[t]:
            found.say(facts.site.name, t, f"{name}: {count} {unit} {how}, the site is dark (limit {facts.limit_w[t]} W)")
        elif count > facts.in_service[name][t]:
            found.say(facts.site.name, t, f"{name}: {count} {unit} {how}, {facts.in_service[name][t]} of {there} are in service")
    return sound


def _heat(facts: SiteFacts, group: AsicGroup, made: GroupPlan, found: Findings) -> None:
    """No block in a mode that it is too hot for."""
    for mode in group.modes:
        for t, count in enumerate(made.mode_blocks[mode.name]):
            if count and barred(mode, facts.ambient_c[t]):
                words = f"{count} blocks in {mode.name} at {facts.ambient_c[t]:g} C, it runs up to {mode.max_ambient_c:g} C"
                found.say(facts.site.name, t, f"{group.name}: {words}")


def _daily_starts(facts: SiteFacts, group: AsicGroup, life: Life, grid: TimeGrid, found: Findings) -> None:
    """No more starts on a local day than its blocks may make, with those before the plan on the day of the state."""
    if group.max_starts_per_day is None:
        return
    made: dict[date, int] = {facts.today: facts.now.groups[group.name].starts_today}
    for t, start in enumerate(grid.starts):
        day = start.astimezone(ZoneInfo(facts.site.zone)).date()
        made[day] = made.get(day, 0) + life.starts[t]
        if life.starts[t] and made[day] > group.blocks * group.max_starts_per_day:
            words = f"{made[day]} starts on {day}, {group.blocks} blocks may make {group.max_starts_per_day} each"
            found.say(facts.site.name, t, f"{group.name}: {words}")


def _times(facts: SiteFacts, machine: AsicGroup | GpuPool, life: Life, found: Findings) -> None:
    for t, (early, too_soon) in enumerate(zip(life.early, life.too_soon, strict=True)):
        if early:
            words = f"{early} {life.unit} stop before they ran {minimum_run_s(machine)} s (min_up_s)"
            found.say(facts.site.name, t, f"{machine.name}: {words}")
        if too_soon and isinstance(machine, AsicGroup):
            words = f"{too_soon} blocks start before they rested {machine.min_down_s} s (min_down_s)"
            found.say(facts.site.name, t, f"{machine.name}: {words}")
