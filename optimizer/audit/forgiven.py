"""Only what the state forces is forgiven: recoveries are named, minimum runs go on, and the draw keeps to the ramp."""

from collections import Counter
from collections.abc import Sequence

from models.plan import Recovery
from optimizer.audit.forced import Entry, Forced
from optimizer.audit.ground import Findings, SiteFacts, Watt, mega
from optimizer.audit.machines import Life, minimum_run_s
from optimizer.audit.meter import MILLIWATT_PER_W, Draws, ramp_allowed_mw, ramp_free


def check_named(facts: SiteFacts, forced: Forced, recoveries: Sequence[Recovery], found: Findings) -> None:
    """A plan names exactly the recoveries that the state forces."""
    named: Counter[Entry] = Counter((r.rule, r.step, r.unit, r.shortfall) for r in recoveries if r.site == facts.site.name)
    needed = Counter(forced.entries)
    for rule, step, unit, shortfall in sorted((needed - named).elements()):
        found.say(
            facts.site.name, step, f"the state forces a recovery of {rule} by {shortfall:g} {unit}, the plan does not name it"
        )
    for rule, step, unit, shortfall in sorted((named - needed).elements()):
        words = f"names a recovery of {rule} by {shortfall:g} {unit}, which the state does not force"
        found.say(facts.site.name, min(step, found.grid.steps - 1), words)


def check_runs(facts: SiteFacts, lives: dict[str, Life], forced: Forced, found: Findings) -> None:
    """Machines that ran before the plan go on until their minimum run is over, but for those that had to be let go."""
    for machine in facts.machines:
        life, kept = lives[machine.name], forced.kept[machine.name]
        for t, stopped in enumerate(life.forced):
            if stopped and life.locked[t] - stopped < kept[t]:
                words = f"{stopped} {life.unit} stop before they ran {minimum_run_s(machine)} s (min_up_s)"
                found.say(facts.site.name, t, f"{machine.name}: {words}; {kept[t]} of the state must go on")


def check_ramp(facts: SiteFacts, draws: Draws, forced: Forced, step_s: Sequence[int], found: Findings) -> None:
    """The draw changes no faster than the ramp lets it, but where the site is free to or the state forces it."""
    if facts.ramp_w_per_min is None:
        return
    free, allowed_mw = ramp_free(facts), ramp_allowed_mw(facts, step_s)
    before: Watt = facts.now.draw_w * MILLIWATT_PER_W
    for t, draw in enumerate(draws.total):
        change: Watt = draw - before
        bound_mw = allowed_mw[t] + MILLIWATT_PER_W  # set-points are whole watts, and whole units of work move a draw by less
        if not free[t] and t not in forced.ramps and not -bound_mw < change < bound_mw:
            words = f"goes from {mega(before)} to {mega(draw)}, the ramp lets it change by {mega(allowed_mw[t])}"
            found.say(facts.site.name, t, words)
        before = draw
