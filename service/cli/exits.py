"""How a command ends: one code per kind of ending, the same for every command."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes, for scripts."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    BAD_INPUT = 3
    CONFLICT = 4
    """Hard rules contradict each other; the diagnosis is printed."""
    NO_OPTIMUM = 5
    """No optimised plan in time; the fallback is written."""
    REFUSED = 6
    """The audit refuses the plan."""
    LOCKED = 7
    """Another process holds the store; the same command may succeed later."""

    @classmethod
    def of_store(cls, error: Exception) -> "Exit":
        """Return how a command ends that could not work on the store."""
        from service.store.database import StoreLockedError

        return cls.LOCKED if isinstance(error, StoreLockedError) else cls.FAILED


MEANINGS = """Exit codes: 0 done, 1 failed, 2 usage, 3 bad input, 4 hard rules conflict (diagnosis printed), \
5 no optimised plan in time (fallback written), 6 plan refused by the audit, \
7 store held by another process (try again later)."""


class CommandError(Exception):
    """A command that cannot go on: its exit code, why in words, and every single fault."""

    def __init__(self, code: Exit, message: str, faults: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.faults = tuple(faults)


def usage(message: str) -> CommandError:
    """Return the error of a command that was called wrongly."""
    return CommandError(Exit.USAGE, message)


def bad_input(message: str, faults: Sequence[dict[str, Any]] = ()) -> CommandError:
    """Return the error of input that is refused, with all its faults."""
    return CommandError(Exit.BAD_INPUT, message, faults)
