"""The job that replays history: in a child process of its own, at low priority, killed with all it started when it is cancelled.

What it has done stands in a folder beside the store; a service that starts again goes on there.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from models.reading import BadInputError
from optimizer.highs_process import Caps, Ended, contain
from optimizer.worker import LOW_PRIORITY
from service.backtesting.child import program
from service.backtesting.kept import WORK, folder_of
from service.backtesting.periods import placed, with_data
from service.config import MIB, Settings
from service.engine import EngineFailedError
from service.jobs import Handle, Kind
from service.ports import Fault, RefusedError

MOST_LINE_BYTES = 1 << 20


def backtest_kind(settings: Settings, command: tuple[str, ...] | None = None) -> Kind:
    """Return the kind of job that replays a period; `command` replaces that of its child (tests run hostile ones)."""
    data = settings.data_folder

    def check(payload: Mapping[str, Any]) -> None:
        try:
            with_data(placed(payload["spec"], "/spec"), data, "/spec")
        except BadInputError as error:
            raise RefusedError(tuple(Fault(pointer=r.pointer, code=r.code, detail=r.detail) for r in error.refusals)) from None

    def work(handle: Handle) -> Mapping[str, Any]:
        from service.app import release

        folder = folder_of(settings.data_dir, handle.job.job_id)
        folder.mkdir(parents=True, exist_ok=True)
        asked = {
            "spec": handle.job.payload["spec"], "folder": str(folder), "data": str(data) if data else None, "jobs": 1,
            "release": release(),
        }  # fmt: skip
        caps = Caps(settings.backtest_budget_s, settings.backtest_memory_mib * MIB, LOW_PRIORITY)
        listener = _Listener(handle)
        with tempfile.TemporaryFile() as request:
            request.write(json.dumps(asked).encode())
            request.seek(0)
            ended = contain(command or program(), request, caps, hear=listener.hear, cancelled=handle.stopped)
        if listener.done is None and handle.why != "closing":
            shutil.rmtree(folder, ignore_errors=True)  # nobody can go on with what failed or was cancelled
        if listener.done is None:
            raise EngineFailedError(listener.refused or _why(ended))
        shutil.rmtree(folder / WORK, ignore_errors=True)  # the report and the rows say it all
        return listener.done

    return Kind(check=check, work=work, lasts_s=settings.backtest_budget_s)


class _Listener:
    """What was heard of a child: progress, and how it ended."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.done: dict[str, Any] | None = None
        self.refused = ""
        self._rest = b""

    def hear(self, chunk: bytes) -> bool:
        """Take whole lines; a child that writes anything else is not listened to any longer."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        try:
            for line in lines:
                self._take(json.loads(line))
        except (ValueError, TypeError, KeyError):
            self.refused = "garbled: its process wrote what is no report of progress"
            return False
        return len(self._rest) <= MOST_LINE_BYTES

    def _take(self, line: dict[str, Any]) -> None:
        if "progress" in line:
            self.handle.tell({"phase": "backtest", **line["progress"]})
        elif "done" in line:
            self.done = dict(line["done"])
        else:
            self.refused = str(line["refused"])


def _why(ended: Ended) -> str:
    last = (ended.said.strip().splitlines() or [""])[-1][:500]
    words = {
        "deadline": "deadline: its process was killed when its time was over",
        "memory": "memory: its process held more than its cap",
        "cancelled": "cancelled: its process was killed on request",
        "spawn": "spawn: its process could not be started",
    }
    return f"{words.get(ended.why, f'its process ended with {ended.code}')}{f'; {last}' if last else ''}"
