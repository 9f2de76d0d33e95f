"""dev.py: what a person meets first."""

import subprocess
import sys
from pathlib import Path


def dev(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(root / "dev.py"), *words], capture_output=True, text=True, check=False)


def test_help_names_every_command(root: Path):
    done = dev(root, "help")
    assert done.returncode == 0
    for command in ("run", "test", "check", "bench", "wattsplit", "help"):
        assert f"dev.py {command}" in done.stdout


def test_an_unknown_command_is_a_usage_error_that_names_the_known_ones(root: Path):
    done = dev(root, "tset")
    assert done.returncode == 2
    assert "'tset'" in done.stderr
    assert "test" in done.stderr


def test_an_unknown_benchmark_is_a_usage_error(root: Path):
    assert dev(root, "bench", "no_such").returncode == 2


def test_dev_needs_nothing_but_the_standard_library(root: Path):
    done = subprocess.run([sys.executable, "-S", "-I", str(root / "dev.py"), "help"], capture_output=True, check=False)
    assert done.returncode == 0


def test_every_pin_carries_its_hash_and_no_lock_names_a_host(root: Path):
    for lock in (root / "requirements").glob("*.txt"):
        text = lock.read_text()
        entries = [entry for entry in text.split("\n") if "==" in entry and not entry.startswith((" ", "#"))]
        assert entries
        assert all(entry.rstrip().endswith("\\") for entry in entries)
        assert "://" not in text
