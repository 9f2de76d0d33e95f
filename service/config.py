"""Settings: defaults, then the environment (`WATTSPLIT_*`), then what the command line gives. Unknown settings are errors."""

import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from annotated_types import Ge, Gt, Le, Len
from pydantic import AfterValidator, BeforeValidator, ValidationError

from models.base import Record
from optimizer.engine_url import engine_url

PREFIX = "WATTSPLIT_"
NOT_SETTINGS = frozenset({"WATTSPLIT_URL", "WATTSPLIT_KEY"})
"""Variables of ours that are not about the service: what the command line calls."""
NOT_SETTINGS_PREFIX = "WATTSPLIT_TEST_"

MIB = 1024 * 1024
FOREVER = "forever"
LEAST_KEPT = timedelta(days=30)
"""What is in force reaches back two horizons of a week at most; what sites answer and what was told counts with it."""


class UnsafeSettingsError(Exception):
    """The service would be open to people it must not be open to; it refuses to start. The message is one line."""


def kept_for(said: Any) -> timedelta | None:
    """Return for how long history is kept, from days such as P400D; None is for ever.

    Raises:
        ValueError: it is none, or too short.
    """
    if said is None or said == FOREVER:
        return None
    days = re.fullmatch(r"P(\d{1,5})D", said, re.IGNORECASE) if isinstance(said, str) else None
    span = said if isinstance(said, timedelta) else timedelta(days=int(days[1])) if days else None
    if span is None or span < LEAST_KEPT:
        raise ValueError(f"expected days such as P400D, at least P{LEAST_KEPT.days}D, or {FOREVER}; got {said!r}")
    return span


class Settings(Record):
    """How the service runs."""

    data_dir: str = ".wattsplit"
    """Folder of the store and of the key that the command line uses on this machine."""
    database_url: str | None = None
    """SQLite or PostgreSQL; a file in `data_dir` if absent."""
    host: str = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65_535)] = 8080
    behind_tls_proxy: bool = False
    """A proxy on this machine or network ends TLS and speaks plain HTTP to us; reads then need keys everywhere."""
    public_hosts: Annotated[tuple[str, ...], Len(0, 20)] = ()
    """Names under which the proxy is reached; any other Host header is refused."""
    threads: Annotated[int, Ge(2), Le(256)] = 32
    max_body_bytes: Annotated[int, Gt(0)] = MIB
    max_telemetry_bytes: Annotated[int, Gt(0)] = 64 * 1024
    max_large_body_bytes: Annotated[int, Gt(0)] = 16 * MIB
    """For a fleet and for series."""
    long_poll_max_s: Annotated[int, Ge(0), Le(55)] = 25
    long_polls_max: Annotated[int, Ge(0)] = 20
    """Long polls at once, of set-points and jobs together: each holds a thread; three of eight stay free whatever is set."""
    telemetry_max_age_s: Annotated[int, Gt(0)] = 7 * 86_400
    telemetry_max_ahead_s: Annotated[int, Ge(0)] = 60
    acknowledge_within_s: Annotated[int, Gt(0)] = 600
    """How long a site with a controller may leave what it is told unacknowledged before that is an alarm."""
    failures_per_minute: Annotated[int, Ge(1)] = 30
    """Keys that are not accepted from one address, after which it is answered 429 for a while."""

    feeds_file: str | None = None
    """YAML file of the series that the service fetches by itself; without it, it fetches none."""

    keep_history: Annotated[timedelta | None, BeforeValidator(kept_for)] = timedelta(days=400)
    """What is older is deleted once a day, as P400D says it; `forever` keeps all. Forecasts learn from the last 400 days."""

    horizon_h: Annotated[int, Ge(2), Le(168)] = 48
    asked_gap: Annotated[float, Gt(0), Le(1)] = 0.005
    """Relative gap at which the hourly plan is good enough."""
    budget_s: Annotated[float, Ge(1), Le(900)] = 180.0
    """Wall time of the hourly solve."""
    give_up_usd: Annotated[float, Ge(0)] = 0.0
    """What a new plan of the fleet may give up to stay next to the one in force."""
    least_gain_usd: Annotated[float, Ge(0)] = 0.0
    """What a new plan must gain; else the one in force goes on, where it still holds."""
    look_ahead_every_h: Annotated[int, Ge(0), Le(168)] = 0
    """Hours between two looks ahead over the rest of the month, after an hourly plan; 0: bills are owed by share of time."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least that is logged: `info` adds how every plan ended, `debug` what it is at."""
    memory_mib: Annotated[int, Ge(256), Le(65_536)] = 2_048
    """Cap on the memory of one solver child."""
    workers: Annotated[int, Ge(1), Le(64)] = 1
    """Processes that share out the sites of the plan that is published; what-ifs have one each, and give way."""
    engine: Annotated[str, AfterValidator(engine_url)] | None = None
    """Dask cluster (tcp://host:port) whose workers share them out instead; where it cannot be used, the plan says why."""
    what_if_slots: Annotated[int, Ge(1), Le(16)] = 1
    """What-ifs that are solved at once, beside the hourly plan."""
    data: str | None = None
    """Folder of larger data, which back-tests of most periods read; nothing else needs it."""
    backtest_budget_s: Annotated[float, Ge(1), Le(86_400)] = 14_400.0
    """Wall time of one back-test."""
    backtest_memory_mib: Annotated[int, Ge(512), Le(65_536)] = 4_096
    """Cap on the memory of a back-test's process; its solver has a cap of its own."""

    @property
    def store_url(self) -> str:
        """Where the store is."""
        return self.database_url or f"sqlite:///{Path(self.data_dir) / 'store.db'}"

    @property
    def data_folder(self) -> Path | None:
        """The folder of larger data, if there is one."""
        return Path(self.data).resolve() if self.data else None

    @property
    def key_file(self) -> Path:
        """Where the service leaves an operator key for the owner of `data_dir`."""
        return Path(self.data_dir) / "operator.key"

    @property
    def admin_key_file(self) -> Path:
        """Where the service leaves an admin key for the owner of `data_dir`, who can then issue keys to others."""
        return Path(self.data_dir) / "admin.key"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Return settings from the environment, overridden by what is given and not None.

        Raises:
            UnsafeSettingsError: a variable is unknown or its value cannot be read.
        """
        values: dict[str, Any] = {}
        for name, text in (os.environ if environment is None else environment).items():
            if not name.startswith(PREFIX) or name in NOT_SETTINGS or name.startswith(NOT_SETTINGS_PREFIX):
                continue
            field = name.removeprefix(PREFIX).lower()
            if field not in cls.model_fields:
                raise UnsafeSettingsError(f"{name} is not a setting; known are {', '.join(sorted(cls.model_fields))}")
            values[field] = tuple(text.split(",")) if field == "public_hosts" else text
        values |= {name: value for name, value in given.items() if value is not None}
        try:
            return cls.model_validate(values, strict=False)
        except ValidationError as error:
            first = error.errors()[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            raise UnsafeSettingsError(f"{name}: {first['msg']}") from None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service, and no proxy stands before it."""
        return is_loopback(self.host) and not self.behind_tls_proxy


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_unsafe(settings: Settings, *, any_key: bool) -> None:
    """Refuse to listen where strangers can reach us without keys, or with keys in the clear.

    Raises:
        UnsafeSettingsError: why, in one line.
    """
    if settings.loopback:
        return
    where = f"{settings.host}:{settings.port}"
    if not settings.behind_tls_proxy:
        raise UnsafeSettingsError(
            f"{where} is reachable from other machines and keys would travel in the clear: put a TLS proxy before it and "
            "declare it (WATTSPLIT_BEHIND_TLS_PROXY=true), or bind 127.0.0.1"
        )
    if not settings.public_hosts:
        raise UnsafeSettingsError(f"{where}: name the hosts that the proxy serves (WATTSPLIT_PUBLIC_HOSTS=plan.example.org)")
    if not any_key:
        raise UnsafeSettingsError(
            f"{where} is reachable from other machines and there is no live key: run `wattsplit key create`"
        )
