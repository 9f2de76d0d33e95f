"""The set-point document: what one site is told, labelled with its basis, enough to act on without a server."""

from typing import Annotated, Literal

from annotated_types import Len

from models.base import MAX_STEPS, Count, Instant, Name, Record, Seconds, Text, Watts, Work
from models.plan import Basis
from models.problem import Label


class SetPointStep(Record):
    """One step: watts at the meter, blocks by group and mode, nodes by pool, work by pool and workload.

    nodes_warm: by pool whose nodes can be warm; all nodes that are neither on nor warm are off. reserve_kw: by reserve, what
    is sold of it: awarded, or offered as long as its gate is open. A call asks no more than that.
    """

    start: Instant
    duration_s: Seconds
    draw_w: Watts
    hashing_w: Watts
    inference_w: Watts
    limit_w: Watts
    mode_blocks: dict[Name, dict[Name, Count]] = {}
    nodes_on: dict[Name, Count] = {}
    nodes_warm: dict[Name, Count] = {}
    work_per_h: dict[Name, dict[Name, Work]] = {}
    reserve_kw: dict[Name, Count] = {}


class FailSafe(Record):
    """What the controller does by itself when the document is older than `after_s`: all other machines are off, none warm."""

    after_s: Seconds
    mode_blocks: dict[Name, dict[Name, Count]] = {}
    nodes_on: dict[Name, Count] = {}


class SetPoint(Record):
    """The document of one site and version. `digest` covers everything but itself (canonical JSON)."""

    schema_version: Literal[1] = 1
    plan_id: Name
    site: Name
    version: Count
    revision: Count = 0
    """0 in what was published; a document made on the spot in its stead counts up, so that no two have the same number."""
    epoch: Count
    issued: Instant
    valid_from: Instant
    valid_until: Instant
    stale_after: Instant
    basis: Basis
    authority: Literal["control", "advise"]
    labels: tuple[Label, ...] = ()
    reasons: tuple[Text, ...] = ()
    steps: Annotated[tuple[SetPointStep, ...], Len(1, MAX_STEPS)]
    ramp_w_per_min: Watts | None
    failsafe: FailSafe
    input_digest: Text
    audit_passed: bool
    audit_version: Count
    digest: Text
    signature: Text | None = None
