#!/usr/bin/env python3
"""Plant one fault after the other into copies of the tree, and see whether the tests of the model notice.

  python3 dev.py faults                       all of them, as many at once as there are cores
  python3 dev.py faults --jobs 4 ramp audit   only those with these words in their names
  python3 dev.py faults --of HEAD             in what is committed, instead of in the files as they stand

Each copy runs `tests/elements tests/audit tests/plans` and stops at the first failure: a fault is caught when a test fails.
First the copy without a fault must pass. The exit code is 0 if no more than two faults in forty go unnoticed, or 1.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from planting import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/elements", "tests/audit", "tests/plans")
NOTICED_OF_40 = 38
LONGEST_S = 1_800
COPIED = ("models/", "optimizer/", "scenarios/", "service/", "tests/", "pyproject.toml")
OPTIONS = ("-x", "-q", "-rfE", "-p", "no:cacheprovider")
PASSED, FAILED = 0, 1  # exit codes of pytest


def misfits(faults: Sequence[Fault], root: Path = ROOT) -> list[str]:
    """Say which faults no longer fit the text of the tree."""
    found = []
    for fault in faults:
        path = root / fault.file
        count = path.read_text().count(fault.old) if path.exists() else 0
        if count != 1:
            found.append(f"{fault.name}: {fault.file} holds its text {count} times, expected once: {fault.old!r}")
        elif fault.old == fault.new:
            found.append(f"{fault.name}: changes nothing")
    return found


def main() -> int:
    """Run what the command line asks for, and say what was noticed."""
    words = argparse.ArgumentParser(prog="dev.py faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    words.add_argument("names", nargs="*", help="words in the names of the faults")
    words.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once")
    words.add_argument("--tests", nargs="+", default=TESTS, help="which tests, in this order")
    words.add_argument("--of", default="", metavar="COMMIT", help="plant into this commit instead of the files as they stand")
    asked = words.parse_args()
    faults = [f for f in FAULTS if not asked.names or any(name in f.name for name in asked.names)]
    with tempfile.TemporaryDirectory(prefix="wattsplit-faults-") as folder:
        sound = tree(Path(folder) / "sound", asked.of)
        if wrong := misfits(faults, sound):
            print("\n".join(wrong), file=sys.stderr)
            return 2
        code, told, seconds = tested(sound, asked.tests)
        print(f"without a fault: {'passes' if code == PASSED else 'FAILS'} ({seconds:.0f} s)", flush=True)
        if code != PASSED:
            print(told, file=sys.stderr)
            return 2
        missed = plant_all(faults, sound, asked.tests, asked.jobs)
    print(f"{len(faults) - len(missed)} of {len(faults)} noticed" + "".join(f"\n  not noticed: {name}" for name in missed))
    return 0 if len(missed) * 40 <= (40 - NOTICED_OF_40) * len(faults) else 1


def plant_all(faults: Sequence[Fault], sound: Path, tests: Sequence[str], jobs: int) -> list[str]:
    """Try every fault, and return the names of those that no test noticed."""
    missed = []
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        running = {
            pool.submit(planted, fault, sound, sound.with_name(f"fault-{n}"), tests): fault for n, fault in enumerate(faults)
        }
        for done in as_completed(running):
            fault, (noticed, told, seconds) = running[done], done.result()
            print(f"{'noticed' if noticed else 'MISSED '} {seconds:5.0f} s  {fault.name}  {told}", flush=True)
            if not noticed:
                missed.append(fault.name)
    return missed


def planted(fault: Fault, sound: Path, copy: Path, tests: Sequence[str]) -> tuple[bool, str, float]:
    """Test a copy with one fault; return whether it was noticed, by which test, and how long that took."""
    shutil.copytree(sound, copy)
    try:
        path = copy / fault.file
        path.write_text(path.read_text().replace(fault.old, fault.new))
        code, told, seconds = tested(copy, tests)
        if code not in (PASSED, FAILED):
            return False, f"the tests did not run: {told[-300:]}", seconds
        first = next((line for line in told.splitlines() if line.startswith(("FAILED", "ERROR"))), "")
        return code == FAILED, first[:140], seconds
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def tree(copy: Path, commit: str) -> Path:
    """Return a copy of all files that git knows: as they stand, or as committed."""
    copy.mkdir()
    if commit:
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", str(copy)], input=packed, check=True)
        return copy
    known = subprocess.run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in known.stdout.decode().split("\0"):
        if (ROOT / name).is_file() and name.startswith(COPIED):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def tested(folder: Path, tests: Sequence[str]) -> tuple[int, str, float]:
    """Run the tests of the model in a folder, up to the first failure; return exit code, output and seconds."""
    began = time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    told = []
    for part in tests:
        command = [sys.executable, "-m", "pytest", *OPTIONS, part]
        try:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            return FAILED, "FAILED in time: the tests came to no end", time.monotonic() - began
        told.append(done.stdout + done.stderr)
        if done.returncode != PASSED:
            return done.returncode, told[-1], time.monotonic() - began
    return PASSED, told[-1], time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
