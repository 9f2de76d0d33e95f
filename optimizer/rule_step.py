"""One step of one site by rule: what must run, then nodes and their work, then what is wished, dearest first.

What a start would hold on (minimum run) is only started where it fits under the ceilings of its whole minimum run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from models.gpu import GpuPool
from models.time_grid import TimeGrid
from optimizer.rule_problem import ASLEEP, SiteProblem, Wish


@dataclass
class Draft:
    """A site being filled: what is on and done so far, what later steps are already held to, and the draws."""

    held: dict[str, list[int]]
    resting: dict[str, list[int]]
    committed_mw: list[int]
    must_mw: dict[str, list[int]]
    loading_s: dict[str, list[int]]
    modes: dict[str, list[list[int]]]
    done: dict[str, dict[str, list[int]]]
    before: dict[str, list[int]]
    draw_mw: list[int] = field(default_factory=list)
    started: dict[str, list[int]] = field(default_factory=dict)

    def started_on(self, name: str, day: Sequence[int], t: int) -> int:
        """Return how many machines started in earlier steps of the day of a step."""
        earlier = zip(self.started.get(name, ()), day, strict=False)
        return sum(count for count, of_day in earlier if of_day == day[t])


class Step:
    """One step of a draft: machines by mode, and the draw as it grows from what must run."""

    def __init__(self, problem: SiteProblem, draft: Draft, t: int, tops: Sequence[int], draw_before: int, need: int) -> None:
        self.problem, self.draft, self.t, self.tops = problem, draft, t, tops
        ramp = problem.ramp_mw[t]
        self.high = tops[t] if ramp is None else min(tops[t], draw_before + ramp)
        self.low = need if ramp is None else max(need, draw_before - ramp)
        self.dark = problem.dark[t]
        self.modes = {name: [0] * len(u.power_mw) for name, u in problem.units.items()}
        self.under_mw = [0] * len(problem.paths)
        self.draw_mw = 0 if self.dark else problem.floor_mw[t]

    def fill(self) -> None:
        """Fill the step, and note what its starts and stops mean for later ones.

        Where the dearest first leaves the draw below what the ramp lets it fall to, what ran before goes on first.
        """
        before = {name: sum(counts) for name, counts in self.draft.before.items()}
        if not self.dark:
            for as_before in (False, True):
                self._begin()
                if as_before:
                    for wish in self._go_on():
                        self.rise(wish)
                for name, wanted in self.problem.nodes.items():
                    self.rise(Wish(name, ASLEEP, 0, wanted[self.t] - self.on(name)))
                self._work()
                for wish in self.problem.wishes(self.t, before, {name: self.on(name) for name in self.modes}):
                    self.rise(wish)
                self._reach_low()
                if self.draw_mw >= self.low:
                    break
        self._remember()

    def _begin(self) -> None:
        """Start from what must run."""
        self.draw_mw = self.problem.floor_mw[self.t]
        self.under_mw = [path.floor_mw[self.t] for path in self.problem.paths]
        for name, held in self.draft.held.items():
            unit = self.problem.units[name]
            self.modes[name] = unit.must(self.t, held[self.t])
            self._draw_more(name, unit.drawn_mw(self.t, self.modes[name]))
        for done in self.draft.done.values():
            for series in done.values():
                series[self.t] = 0

    def _go_on(self) -> Iterator[Wish]:
        """Everything as it was before the step."""
        for name, counts in self.draft.before.items():
            yield Wish(name, ASLEEP, 0, sum(counts) - self.on(name), may_start=False)
        for name, counts in self.draft.before.items():
            for mode, count in enumerate(counts):
                if mode:
                    yield Wish(name, 0, mode, count)

    def on(self, name: str) -> int:
        """How many machines of a unit run."""
        return sum(self.modes[name])

    def room_mw(self, name: str) -> int:
        """Return what the ceiling, and every feeder on the way to a unit, leaves in this step."""
        room = self.high - self.draw_mw
        for number, path in enumerate(self.problem.paths):
            if name in path.units:
                room = min(room, path.limit_mw[self.t] - self.under_mw[number])
        return room

    def _draw_more(self, name: str, more_mw: int) -> None:
        self.draw_mw += more_mw
        for number, path in enumerate(self.problem.paths):
            if name in path.units:
                self.under_mw[number] += more_mw

    def _power(self, name: str, source: int, target: int) -> int:
        power = self.problem.units[name].power_mw
        return power[target][self.t] - (power[source][self.t] if source >= 0 else 0)

    def rise(self, wish: Wish, at_most_mw: int | None = None) -> None:
        """Fulfil as much of a wish as fits; a pinned mode neither gains nor loses, the next one stands in for it."""
        wish = self._beside_pin(self._cooler(wish))
        if wish.source == wish.target:
            return
        each = self._power(wish.unit, wish.source, wish.target)
        room = self.room_mw(wish.unit)
        if at_most_mw is not None:
            room = min(room, at_most_mw)
        unit, running = self.problem.units[wish.unit], self.on(wish.unit)
        if isinstance(unit.machine, GpuPool):
            count = min(wish.count, unit.fitting(self.t, running, room))
        else:
            count = min(wish.count, room // each if each > 0 else wish.count)
        if wish.source == ASLEEP:
            before = sum(self.draft.before[wish.unit])
            count = min(count, unit.most[self.t] - running)
            go_on = max(0, before - running)
            if count > go_on:
                count = go_on + (min(count - go_on, self._startable(wish.unit, running + go_on)) if wish.may_start else 0)
        else:
            count = min(count, self.modes[wish.unit][wish.source])
        if count <= 0:
            return
        if wish.source >= 0:
            self.modes[wish.unit][wish.source] -= count
        self.modes[wish.unit][wish.target] += count
        more_mw = count * each
        if isinstance(unit.machine, GpuPool):
            more_mw = unit.lowest_mw(self.t, running + count) - unit.lowest_mw(self.t, running)
        self._draw_more(wish.unit, more_mw)

    def _cooler(self, wish: Wish) -> Wish:
        """Lower the target of a wish to the highest mode that the heat allows."""
        allowed = self.problem.units[wish.unit].allowed
        return wish if allowed is None else replace(wish, target=max(wish.source, min(wish.target, allowed[self.t] - 1)))

    def _beside_pin(self, wish: Wish) -> Wish:
        unit = self.problem.units[wish.unit]
        if (pin := unit.pinned(self.t)) is None:
            return wish
        mode, _ = pin
        if mode < 0:  # all that run are pinned, so that none may start
            return wish if wish.source != ASLEEP else replace(wish, target=ASLEEP)
        allowed = len(unit.power_mw) if unit.allowed is None else unit.allowed[self.t]
        others = [k for k in range(allowed) if k != mode]
        if not others:
            return replace(wish, target=wish.source)

        def other(k: int) -> int:
            return next((o for o in others if o > mode), others[-1]) if k == mode else k

        source, target = other(wish.source), other(wish.target)
        return replace(wish, source=source, target=target) if source < target else replace(wish, target=wish.source)

    def _startable(self, name: str, on: int) -> int:
        """How many machines may start so that all of their minimum run fits under the ceilings."""
        unit, t = self.problem.units[name], self.t
        count = unit.total - self.draft.resting[name][t] - on
        starts = max(0, on - sum(self.draft.before[name]))
        if unit.starts_left is not None:
            count = min(count, unit.starts_left[unit.day[t]] - self.draft.started_on(name, unit.day, t) - starts)
        for h in _within(self.problem.grid, t, unit.hold_s):
            count = min(count, unit.most[h] - (on if h == t else self.draft.held[name][h] + starts))
            # In this step all machines that rose count; in later ones those that are held, and nodes that are wanted.
            if h > t:
                left_mw = self.tops[h] - self.draft.committed_mw[h] - self._held_later(name, h, tuple(self.problem.units))
                for path in self.problem.paths:
                    if name in path.units:
                        committed = path.floor_mw[h] + sum(self.draft.must_mw[n][h] for n in path.units)
                        left_mw = min(left_mw, path.limit_mw[h] - committed - self._held_later(name, h, path.units))
                count = min(count, unit.fitting(h, 0, max(0, left_mw)))
        return max(0, count)

    def _held_later(self, name: str, h: int, among: Sequence[str]) -> int:
        """Draw of some units in a later step that is spoken for by this step's starts, and by nodes that are wanted."""
        started = sum(
            u.lowest_mw(h, max(0, self.on(n) - sum(self.draft.before[n])))
            for n, u in ((n, self.problem.units[n]) for n in among)
            if self.problem.grid.offset_s[h] - self.problem.grid.offset_s[self.t] < u.hold_s
        )
        wanted = 0
        if name not in self.problem.nodes:
            for n, nodes in ((n, self.problem.nodes[n]) for n in among if n in self.problem.nodes):
                unit = self.problem.units[n]
                wanted += max(0, unit.busy_nodes_mw(h, nodes[h]) - unit.lowest_mw(h, self.draft.held[n][h]))
        return started + wanted

    def _work(self) -> None:
        """Do the work that the nodes on and the draw leave room for."""
        for name, work in self.problem.work.items():
            unit = self.problem.units[name]
            pool = unit.machine
            if not isinstance(pool, GpuPool):
                continue
            length_s = self.problem.grid.step_s[self.t]
            starts = max(0, self.on(name) - sum(self.draft.before[name]))
            free_node_s = (self.on(name) - starts) * length_s - self.draft.loading_s[name][self.t]
            free_node_s += starts * max(0, length_s - pool.load_s)
            pue_span = pool.node_span_w * (unit.power_mw[0][self.t] // pool.node_fixed_w)
            for load in work[self.t]:
                most = max(0, free_node_s) * load.rate // length_s
                if pue_span:
                    most = min(most, max(0, self.room_mw(name)) * load.rate // pue_span)
                done = min(load.work_per_h, most)
                if done > 0:
                    free_node_s -= -(-done * length_s // load.rate)
                    self._draw_more(name, -(-done * pue_span // load.rate))
                    self.draft.done[name].setdefault(load.workload, [0] * self.problem.grid.steps)[self.t] = done

    def _reach_low(self) -> None:
        """Run more than is worth it where the draw may not fall so fast: what runs goes on, then modes rise, then starts."""
        if self.draw_mw >= self.low:
            return
        for may_start in (False, True):
            for target in (0, 1, 2, 3, 4, 5, 6, 7):
                for name, unit in self.problem.units.items():
                    if target >= len(unit.power_mw) or self.draw_mw >= self.low:
                        continue
                    source = target - 1
                    each = self._power(name, source, target)
                    short = -(-(self.low - self.draw_mw) // each) if each > 0 else 0
                    if source == ASLEEP or not may_start:
                        self.rise(Wish(name, source, target, short, may_start))

    def _remember(self) -> None:
        for name, unit in self.problem.units.items():
            change = self.on(name) - sum(self.draft.before[name])
            self.draft.started.setdefault(name, []).append(max(0, change))
            if change > 0:
                for h in _within(self.problem.grid, self.t, unit.hold_s):
                    held = self.draft.held[name][h]
                    self.draft.held[name][h] += change
                    if not self.problem.dark[h] and unit.pinned(h) is None:
                        more_mw = unit.lowest_mw(h, held + change) - unit.lowest_mw(h, held)
                        self.draft.committed_mw[h] += more_mw
                        self.draft.must_mw[name][h] += more_mw
                if isinstance(unit.machine, GpuPool):
                    self._load(name, change, unit.machine.load_s)
            elif change < 0:
                for h in _within(self.problem.grid, self.t, unit.rest_s):
                    self.draft.resting[name][h] -= change
            self.draft.before[name] = self.modes[name]
            self.draft.modes[name].append(self.modes[name])

    def _load(self, name: str, nodes: int, load_s: int) -> None:
        """Nodes that start lose what they load, also in later steps."""
        grid = self.problem.grid
        until_s = grid.offset_s[self.t] + load_s
        for h in _within(grid, self.t, load_s):
            self.draft.loading_s[name][h] += nodes * max(0, min(until_s, grid.offset_s[h + 1]) - grid.offset_s[h])


def _within(grid: TimeGrid, t: int, hold_s: int) -> list[int]:
    """Steps, this one included, that begin less than so many seconds after a step."""
    found = []
    for h in range(t, grid.steps):
        if h > t and grid.offset_s[h] - grid.offset_s[t] >= hold_s:
            break
        found.append(h)
    return found
