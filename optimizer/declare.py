"""The declaration layer: a model is a list of named sets, parameters, variables, constraints and money terms.

Nothing here solves or counts anything. An element declares what it adds to a `Model`; `compile` and `pyomo_reading` are
the two ways to read it. A *rule* is a plain function of a reading `m` and an index, such as

    def starts_and_stops(m, g, t):
        return m.on[g, t] - m.previous(m.on, m.on_before, g, t) == m.start[g, t] - m.stop[g, t]

It returns a linear expression (money), a relation `==`, `<=`, `>=` or `(low, expression, high)` (constraint), or
`(lower, upper)` (bounds). Both readings evaluate the same functions, one with single labels, one with whole arrays, so a
rule may sum over a ragged set but must never branch on a value: what differs from member to member is a set or a
parameter. What is summed must use the index of its sum (otherwise arrays would add it once, labels once per member).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Reading = Any
"""What a rule sees as `m`: attributes by declared name and `previous`; what they are differs, so they have no common type."""

Expr = Any
"""A linear expression of either reading."""

Rule = Callable[..., Expr]
STEPS = "STEPS"
"""The one set of time; `previous` and money families end in it."""

Stage = Literal["commitment", "set_point", "service", "contract", "follows"]
"""When a decision is taken, where the future comes as scenarios (`optimizer.stages` says what each shares)."""


@dataclass(frozen=True)
class Axis:
    """A set with labels of its own, such as sites or steps."""

    name: str


@dataclass(frozen=True)
class Sparse:
    """A set of tuples of members of other axes; with one axis, a subset of it."""

    name: str
    within: tuple[str, ...]


@dataclass(frozen=True)
class Ragged:
    """For each member of `by`, some members of `of`: what a rule sums over."""

    name: str
    by: tuple[str, ...]
    of: tuple[str, ...]


@dataclass(frozen=True)
class Parameter:
    """A number for each member of the sets `over`."""

    name: str
    over: tuple[str, ...]


@dataclass(frozen=True)
class Variable:
    """A decision for each member of the sets `over`; `bounds` is a rule, or absent for 0 .. infinity."""

    name: str
    over: tuple[str, ...]
    integer: bool
    bounds: Rule | None
    stage: Stage = "follows"


@dataclass(frozen=True)
class Constraint:
    """A relation for each member of the sets `over`."""

    name: str
    over: tuple[str, ...]
    rule: Rule


@dataclass(frozen=True)
class MoneyFamily:
    """Money under the name of a term: one cell for each owner and step, `over` = (owners, steps) or a set of such pairs."""

    term: str
    over: tuple[str, ...]
    owners: str
    rule: Rule


@dataclass
class Model:
    """The declarations in the order in which they were made; a name means one thing only."""

    sets: dict[str, Axis | Sparse | Ragged] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    constraints: dict[str, Constraint] = field(default_factory=dict)
    money: list[MoneyFamily] = field(default_factory=list)
    sources: list[Callable[..., Any]] = field(default_factory=list)
    """Functions from a world to the data of what was declared; an element registers its own."""

    def axis(self, name: str) -> None:
        """Declare a set with labels of its own."""
        self._claim(name)
        self.sets[name] = Axis(name)

    def sparse(self, name: str, *within: str) -> None:
        """Declare a set of tuples of members of axes."""
        self._claim(name)
        self._axes(name, within)
        self.sets[name] = Sparse(name, within)

    def ragged(self, name: str, *, by: Sequence[str], of: Sequence[str]) -> None:
        """Declare, for each member of the sets `by`, a set of tuples of members of the axes `of`."""
        self._claim(name)
        self._sets(name, by)
        self._axes(name, of)
        self.sets[name] = Ragged(name, tuple(by), tuple(of))

    def parameter(self, name: str, *over: str) -> None:
        """Declare a number for each member of the sets `over`."""
        self._claim(name)
        self._sets(name, over)
        self.parameters[name] = Parameter(name, over)

    def variable(
        self, name: str, *over: str, integer: bool = False, bounds: Rule | None = None, stage: Stage = "follows"
    ) -> None:
        """Declare a decision for each member of the sets `over`, and when it is taken."""
        self._claim(name)
        self._sets(name, over)
        self.variables[name] = Variable(name, over, integer, bounds, stage)

    def constraint(self, *over: str) -> Callable[[Rule], Rule]:
        """Declare the decorated rule as a constraint of its own name for each member of the sets `over`."""

        def declared(rule: Rule) -> Rule:
            name = rule.__name__
            self._claim(name)
            self._sets(name, over)
            self.constraints[name] = Constraint(name, over, rule)
            return rule

        return declared

    def earns(self, term: str, over: Sequence[str], rule: Rule) -> None:
        """Declare money [USD] by owner and step under a term's name; several families may share one term."""
        self._sets(term, over)
        axes = [axis for name in over for axis in self.axes_of(name)]
        if len(axes) != 2 or axes[1] != STEPS:
            raise ValueError(f"{term}: money is by owner and step, got {axes}")
        self.money.append(MoneyFamily(term, tuple(over), axes[0], rule))

    def axes_of(self, name: str) -> tuple[str, ...]:
        """Return the axes whose members make up the members of an axis or a sparse set."""
        declared = self.sets[name]
        if isinstance(declared, Ragged):
            raise ValueError(f"{name}: a ragged set can be summed over, not indexed by")
        return declared.within if isinstance(declared, Sparse) else (name,)

    def _claim(self, name: str) -> None:
        for kind in (self.sets, self.parameters, self.variables, self.constraints):
            if name in kind:
                raise ValueError(f"{name} is declared twice")

    def _sets(self, name: str, over: Sequence[str]) -> None:
        for part in over:
            if part not in self.sets:
                raise ValueError(f"{name}: set {part} is not declared")
            self.axes_of(part)

    def _axes(self, name: str, over: Sequence[str]) -> None:
        for part in over:
            if not isinstance(self.sets.get(part), Axis):
                raise ValueError(f"{name}: {part} is not a declared axis")


class Named:
    """Of both readings the same: sets, parameters and variables by name, each known to the rules that follow it."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = dict(named)

    def declare(self, name: str, value: Any) -> None:
        """Make something known to the rules that follow."""
        self._named[name] = value

    def __getattr__(self, name: str) -> Any:
        if name not in self._named:
            raise AttributeError(f"{name} is not declared, or not yet")
        return self._named[name]
