"""Alarms: what somebody must know. They go to the log and, append-only, to the audit log."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from service.store import Store

_log = structlog.get_logger("wattsplit.planning")


class Alarms:
    """Raises alarms; none of them ever stops planning."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    def raise_(self, code: str, words: str, **detail: Any) -> None:
        """Record an alarm: a stable code, what happened in words, and what belongs to it."""
        _log.error(code, words=words, **detail)
        self._record("alarm", code, {"words": words[:2000], **detail})

    def note(self, action: str, subject: str, **detail: Any) -> None:
        """Record something that is not an alarm, such as a missed slot."""
        _log.info(action, subject=subject, **detail)
        self._record(action, subject, detail)

    def _record(self, action: str, subject: str, detail: dict[str, Any]) -> None:
        try:
            self._store.audit_log.append("planner", action, subject, at=self._now(), detail=detail)
        except Exception:  # a store that cannot be written must not silence the alarm that says so
            _log.exception("alarm not recorded", subject=subject)
