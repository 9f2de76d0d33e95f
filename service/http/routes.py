"""One declaration per route: everything else (validation, authorisation, OpenAPI, the reference page) is read off it."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel

from models.reading import Refusal
from service.keys import Principal
from service.store.common import new_id
from service.store.records import ROLES, Role

Method = Literal["GET", "POST", "PUT", "DELETE"]
Limit = Literal["body", "telemetry", "large"]
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


class UndeclaredError(Exception):
    """A route lacks its policy, or its handler does not fit its declaration: the service does not start."""


@dataclass(frozen=True)
class Access:
    """Who may call a route.

    `site` names the path parameter that must be one of a controller's own sites. `open_on_loopback` lets anybody on this
    machine read while the service is bound to it alone. `public` needs no key anywhere.
    """

    roles: frozenset[Role] = frozenset()
    site: str | None = None
    open_on_loopback: bool = False
    public: bool = False


PUBLIC = Access(public=True)


def reads(*roles: Role, site: str | None = None) -> Access:
    """Return the policy of a read: these roles, and anybody on loopback."""
    return Access(roles=frozenset(roles), site=site, open_on_loopback=True)


def writes(*roles: Role, site: str | None = None) -> Access:
    """Return the policy of a write, or of a read that is closed on loopback too: these roles alone."""
    return Access(roles=frozenset(roles), site=site)


EVERYBODY: tuple[Role, ...] = ROLES


@dataclass(frozen=True)
class Call:
    """What a handler may know of the request beside its validated parts."""

    principal: Principal
    request_id: str
    now: datetime
    header: Callable[[str], str | None]
    idempotency_key: str | None = None
    derived_id: str = field(default_factory=new_id)
    """Id for what this request creates: random, or derived from the Idempotency-Key, so that a repeat after a crash finds it."""


@dataclass(frozen=True)
class Answer:
    """An answer that is more than a record with the declared status."""

    body: BaseModel | bytes | None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True)
class Reader:
    """Turns a body of another media type into the content of the JSON body.

    `read` takes the bytes and the raw query, `code` is the problem of a body that cannot be read, and `placed` puts into
    the words of refusals where in the body they are, as people find it.
    """

    read: Callable[[bytes, Mapping[str, str]], Any]
    code: str
    placed: Callable[[Iterable[Refusal]], list[Refusal]]


@dataclass(frozen=True)
class Route:
    """A method and a path, who may call it, what goes in and what comes out.

    The handler takes `call`, the path parameters by name, and `query` and `body` where it declares them; their
    annotations are the models that the request is validated against.
    """

    method: Method
    path: str
    handler: Callable[..., Any]
    access: Access
    summary: str
    tag: str
    answer: type[BaseModel] | None = None
    status: int = 200
    problems: tuple[str, ...] = ()
    limit: Limit = "body"
    readers: Mapping[str, Reader] = field(default_factory=dict)
    also_produces: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Response headers by name, with what they say."""
    request_headers: Mapping[str, str] = field(default_factory=dict)
    hidden: bool = False
    """Pages and their assets are not part of the API's description."""
    once: bool = False
    """The answer holds a secret: it is not kept, a repeat gets it without."""

    def __post_init__(self) -> None:
        """Refuse a route without policy or with a handler of another shape."""
        if not isinstance(self.access, Access) or not (self.access.public or self.access.roles):
            raise UndeclaredError(f"{self.method} {self.path}: declares no policy")
        if self.access.open_on_loopback and self.method != "GET":
            raise UndeclaredError(f"{self.method} {self.path}: writes are never open, not even on loopback")
        if self.access.public and self.method != "GET":
            raise UndeclaredError(f"{self.method} {self.path}: writes are never public")
        if self.access.site is not None and self.access.site not in self.parameters:
            raise UndeclaredError(f"{self.method} {self.path}: its policy names a site that its path does not")
        taken = set(inspect.signature(self.handler).parameters)
        expected = {"call", *self.parameters} | (taken & {"query", "body"})
        if taken != expected:
            raise UndeclaredError(f"{self.method} {self.path}: its handler takes {sorted(taken)}, expected {sorted(expected)}")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path parameters."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def rule(self) -> str:
        """The path as Flask writes it."""
        return _PARAMETER.sub(r"<\1>", self.path)

    @property
    def name(self) -> str:
        """Operation id: the handler's name and its subject."""
        return f"{self.tag}_{self.handler.__name__}".replace("-", "_").replace(" ", "_").lower()

    def model(self, part: Literal["query", "body"]) -> type[BaseModel] | None:
        """Return the model of the query or of the body."""
        found = get_type_hints(self.handler).get(part)
        if found is not None and not (isinstance(found, type) and issubclass(found, BaseModel)):
            raise UndeclaredError(f"{self.method} {self.path}: {part} must be annotated with a record, got {found!r}")
        return found


def json_headers(location: str, *, retry_after_s: int | None = None) -> dict[str, str]:
    """Return the headers of an accepted or created thing."""
    return {"Location": location} | ({} if retry_after_s is None else {"Retry-After": str(retry_after_s)})
