"""Tells the service's log what went wrong. A log that cannot be written must not take an answer with it."""

from contextlib import suppress
from typing import Any

import structlog

_log = structlog.get_logger("http")


def tell(event: str, **words: Any) -> None:
    """Write an error to the log, if it can be written."""
    with suppress(OSError, ValueError):  # the disk under a redirected stderr is full, or stderr is closed
        _log.error(event, **words)
