"""What the model of futures is worth, and what knowing the future would be.

value of the stochastic solution    objective - objective of deciding here and now for the mean of the scenarios     [USD]
value of perfect information        objective of deciding in each scenario with knowledge of it - objective          [USD]

Both are found with the same objective, CVaR included, which never falls when a scenario's profit rises: with perfect
knowledge each scenario is best planned alone. Deciding for the mean holds the commitments, set-points and contracts of the
mean problem's plan, and leaves the rest to each scenario. Source: Birge and Louveaux, "Introduction to Stochastic
Programming", chapter 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.futures_plan import FuturesPlan, Knowledge
from optimizer.compiled import Floats
from optimizer.making import Result

NOT_LAWFUL = "what is best for the mean of the scenarios breaks rules in one of them, so that its worth has no figure"


@dataclass(frozen=True, eq=False)
class ForTheMean:
    """Columns of the joint model with the decisions for the mean, their objective and its bound; or why there are none."""

    x: Floats | None
    words: str
    objective_usd: float | None = None
    bound_usd: float | None = None


@dataclass(frozen=True)
class Worth:
    """A value and what it is certain to, or why there is none. [USD]."""

    usd: float | None
    plus_minus_usd: float = 0.0
    words: str = ""


def value_of_model(objective_usd: float, bound_usd: float | None, mean: ForTheMean) -> Worth:
    """Return the value of the stochastic solution; both objectives are of columns of the same model."""
    if mean.objective_usd is None:
        return Worth(None, words=mean.words)
    gaps = [top - found for top, found in ((bound_usd, objective_usd), (mean.bound_usd, mean.objective_usd)) if top is not None]
    return Worth(objective_usd - mean.objective_usd, max(0.0, sum(gaps)))


def knowledge_of(found: FuturesPlan, worth: Worth, alone: Sequence[Result]) -> Knowledge:
    """Return both values; `alone` are the plans of the scenarios as if each were certain, in their order."""
    words = [worth.words] if worth.words else []
    model = Knowledge(stochastic_usd=worth.usd, stochastic_plus_minus_usd=worth.plus_minus_usd)
    proofs = [result.plan.proof for result in alone if result.plan is not None]
    if len(proofs) < len(alone):
        words.append("not every scenario could be planned alone in the time: perfect information has no figure")
        return model.model_copy(update={"words": tuple(words)})
    pairs = list(zip(found.scenarios, proofs, strict=True))
    best = [(s.probability_ppm, max(s.profit_usd, proof.objective_usd)) for s, proof in pairs]
    tops = [(ppm, max(usd, proof.bound_usd or usd)) for (ppm, usd), (_, proof) in zip(best, pairs, strict=True)]
    known_usd = found.risk.objective_usd(best)
    certain_to = max(0.0, found.risk.objective_usd(tops) - known_usd) + (found.gap_usd or 0.0)
    return model.model_copy(
        update={
            "perfect_usd": max(0.0, known_usd - found.objective_usd),
            "perfect_plus_minus_usd": certain_to,
            "words": tuple(words),
        }
    )
