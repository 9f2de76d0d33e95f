#!/usr/bin/env python3
"""wattsplit from a fresh clone, with nothing but Python 3.11+ and pip on the machine.

  python3 dev.py run  [--port 8080]   everything: store, reference fleet, first plan, API and page, hourly planning
  python3 dev.py test [--long] [...]  the tests; --long adds the ones that take minutes; the rest goes to pytest
  python3 dev.py check                lint, format, types and import contracts
  python3 dev.py bench [--only 45x24] [--peers] [--json] [...]   the engine's benchmark; `bench whole_model`: another by name
  python3 dev.py wattsplit ...        the command line, e.g. `python3 dev.py wattsplit plan run reference`
  python3 dev.py help                 this page

The first call installs a hash-locked set of packages into .venv; nothing is written outside this folder but the caches of
pip and uv, and what `run` stores (see `wattsplit serve --help`).
"""

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = ROOT / "requirements"
OLDEST = (3, 11)
BENCHMARKS = ("engine", "whole_model", "backtests")


def main(arguments: Sequence[str]) -> int:
    """Run one command of this page and return its exit code."""
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("help", [])
    if command in ("help", "-h", "--help"):
        print(__doc__)
        return 0
    if command not in COMMANDS:
        print(f"dev.py has no command {command!r}; it has: help, {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    if sys.version_info < OLDEST:
        print(f"wattsplit needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    try:
        return COMMANDS[command](rest)
    except InstallError as error:
        print(f"wattsplit could not be installed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# --- the commands -----------------------------------------------------------------------------------------------------


def run(rest: list[str]) -> int:
    """Serve, plan and go on until Ctrl-C."""
    return wattsplit(["serve", *rest])


def wattsplit(rest: list[str]) -> int:
    """Become the command line: the same process, so that Ctrl-C and signals reach it and nothing stands between."""
    install("run")
    os.environ.setdefault("WATTSPLIT_DATA_DIR", str(ROOT / ".wattsplit"))  # one store, from whichever folder it is called
    sys.stdout.flush()
    os.execv(PYTHON, [str(PYTHON), "-m", "service.cli", *rest])


def test(rest: list[str]) -> int:
    """Run the tests, two at a time where there are two cores; a folder of tests stays in one process."""
    install("dev")
    workers = [] if any(word.startswith("-n") for word in rest) or (os.cpu_count() or 1) < 2 else ["-n", "2"]
    distribution = ["--dist", "loadfile"] if workers else []
    return call("-m", "pytest", "-q", "-rfEs", *workers, *distribution, *rest)


def check(rest: list[str]) -> int:
    """Run every check, say which failed, and fail if any did."""
    install("dev")
    failed = [
        name
        for name, words in {
            "ruff check": ("-m", "ruff", "check", "."),
            "ruff format": ("-m", "ruff", "format", "--check", "."),
            "mypy": ("-m", "mypy"),
            "import contracts": ("-c", "from importlinter.cli import lint_imports_command as run; run()"),
        }.items()
        if not passes(name, words)
    ]
    say(f"check failed: {', '.join(failed)}" if failed else "check passed")
    return 1 if failed else 0


def bench(rest: list[str]) -> int:
    """Run one benchmark, by default the engine's; the words after its name are its own."""
    name, words = (rest[0], rest[1:]) if rest and not rest[0].startswith("-") else ("engine", rest)
    if name not in BENCHMARKS:
        print(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    install("dev")
    return call(f"benchmarks/{name}.py", *words)


def faults(rest: list[str]) -> int:
    """Plant single mistakes into copies of the tree, and say which of them no test notices."""
    install("dev")
    return call("tests/planted/run.py", *rest)


COMMANDS = {"run": run, "test": test, "check": check, "bench": bench, "faults": faults, "wattsplit": wattsplit}


# --- installing -------------------------------------------------------------------------------------------------------


class InstallError(Exception):
    """What could not be installed, in words for whoever has to help themselves."""


def install(kind: str) -> None:
    """Make .venv hold the locked set `kind` ("run" or "dev") and the project; at once if it already does."""
    if is_installed(kind):
        return
    with locked(LOCKS):
        if is_installed(kind):
            return
        say("installing the locked set of packages into .venv (once; some hundred MB) …")
        began = time.monotonic()
        make_environment()
        tool = install_set(LOCKS / f"{kind}.txt")
        install_project()
        (VENV / f".stamp-{kind}").write_text(fingerprint(kind))
        say(f"installed with {tool} in {time.monotonic() - began:.1f} s")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two terminals, one installation: the second waits, and finds the work done."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def is_installed(kind: str) -> bool:
    """Whether .venv holds this set; the set of developers includes the set of users."""
    for candidate in {kind, "dev"}:
        stamp = VENV / f".stamp-{candidate}"
        if PYTHON.exists() and stamp.exists() and stamp.read_text() == fingerprint(candidate):
            return True
    return False


def fingerprint(kind: str) -> str:
    """Everything that decides what an installation holds."""
    parts = [LOCKS / "bootstrap.txt", LOCKS / f"{kind}.txt", ROOT / "pyproject.toml"]
    content = b"".join(part.read_bytes() for part in parts) + str(ROOT).encode()
    return hashlib.sha256(content).hexdigest()


def make_environment() -> None:
    """Create .venv with pip and uv in it, also where the system ships Python without ensurepip (Debian, Ubuntu)."""
    wanted = ["--require-hashes", "--only-binary", ":all:", "-r", str(LOCKS / "bootstrap.txt")]
    if PYTHON.exists() and succeeds(PYTHON, "-m", "pip", "--version"):
        pass
    elif not succeeds(sys.executable, "-m", "venv", "--clear", str(VENV)):
        say("this Python has no ensurepip; taking pip from the system instead")
        must("create .venv", sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
        here = subprocess.check_output([str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        if not succeeds(*pip, "--python", str(PYTHON), "install", "-q", *wanted):
            must("install pip and uv", *pip, "install", "-q", "--target", here.strip(), *wanted)
    must("install pip and uv", PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "-q", *wanted)


def install_set(lock: Path) -> str:
    """Install a locked set by uv, or by pip where uv does not reach its index; return which of the two did it."""
    wanted = ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)]
    uv = [str(PYTHON), "-m", "uv", "pip", "install", "--python", str(PYTHON), *wanted]
    with subprocess.Popen(uv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            if not line.startswith((" + ", " ~ ", " - ")):  # downloads and errors; not a hundred names
                say(line.rstrip())
    if process.returncode == 0:
        return "uv"
    say("uv could not; trying pip with the same locked set (slower) …")
    must(f"install {lock.name}", PYTHON, "-m", "pip", "--disable-pip-version-check", "install", *wanted)
    return "pip"


def install_project() -> None:
    """Install this folder as it stands, built by the locked hatchling, so that nothing unlocked is fetched."""
    words = ["--no-deps", "--no-build-isolation", "--no-index", "-q", "-e", str(ROOT)]
    must("install the project", PYTHON, "-m", "pip", "--disable-pip-version-check", "install", *words)


# --- small helpers ----------------------------------------------------------------------------------------------------


def say(words: str) -> None:
    """Tell the person what happens, apart from what the command prints."""
    print(f"wattsplit: {words}", file=sys.stderr, flush=True)


def succeeds(*words: object) -> bool:
    """Whether a command works; what it prints is of no interest."""
    return subprocess.run([str(word) for word in words], capture_output=True, check=False).returncode == 0


def must(purpose: str, *words: object) -> None:
    """Run a command that has to work.

    Raises:
        InstallError: with what the command was for and the end of what it printed.
    """
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise InstallError(f"could not {purpose}:\n{done.stdout[-2000:]}")


def call(*words: str) -> int:
    """Run Python of .venv in the project's folder and return its exit code; Ctrl-C is the child's to handle."""
    environment = {"OMP_NUM_THREADS": "1"} | os.environ  # more threads than cores make every solve slower
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen([str(PYTHON), *words], cwd=ROOT, env=environment, preexec_fn=restore_interrupt) as child:
            return child.wait()
    finally:
        signal.signal(signal.SIGINT, previous)


def restore_interrupt() -> None:
    """Let the child hear Ctrl-C although its parent waits through it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def passes(name: str, words: Sequence[str]) -> bool:
    """Run one check and say how long it took."""
    began = time.monotonic()
    good = call(*words) == 0
    say(f"{name}: {'good' if good else 'FAILED'} ({time.monotonic() - began:.1f} s)")
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
