"""The command line as people meet it: a process of its own, with its exit code and what it prints."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

NO_SERVICE = "http://127.0.0.1:9"
"""The discard port, where nothing answers."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Wattsplit = Callable[..., Ended]


@pytest.fixture
def wattsplit(tmp_path: Path) -> Wattsplit:
    """Run the command line in an empty folder and return how it ended; `url` and `key` name the service it speaks to."""

    def run(
        *words: str, url: str = NO_SERVICE, key: str | None = None, stdin: str = "", warnings: str = "error", **more: str
    ) -> Ended:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WATTSPLIT_")}
        environment |= {"WATTSPLIT_URL": url, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": warnings}
        environment |= ({"WATTSPLIT_KEY": key} if key else {}) | more
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            cwd=tmp_path, env=environment, input=stdin, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
