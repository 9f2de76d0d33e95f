"""Who asks, and may they: the one place where requests are authenticated and authorised."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from flask import Request

from service.config import Settings, is_loopback
from service.http.problems import Problem, not_found
from service.http.routes import Access
from service.http.throttle import Throttle
from service.keys import READER, Keyring, Principal

SAFE_METHODS = frozenset({"GET", "HEAD"})


class Guard:
    """Knows the settings and the keys."""

    def __init__(self, settings: Settings, keyring: Keyring, now_s: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._keyring = keyring
        self._throttle = Throttle(settings.failures_per_minute, now_s)

    @property
    def cookie(self) -> str:
        """Name of the session cookie; behind TLS the prefix ties it to this host and to TLS."""
        return "__Host-wattsplit" if self._settings.behind_tls_proxy else "wattsplit_session"

    def check_host(self, request: Request) -> None:
        """Refuse names that are not ours: a web page elsewhere may have its own name point at this address (DNS rebinding).

        Raises:
            Problem: host_not_allowed.
        """
        host = _host_name(request.headers.get("Host", ""))
        if host not in self._settings.public_hosts and not is_loopback(host):
            raise Problem("host_not_allowed", "Host: expected a name that this service is configured for.")

    def principal(self, request: Request) -> Principal | None:
        """Return who asks: a key, a session, anybody on loopback, or None for nobody.

        Raises:
            Problem: unauthenticated, alike for every reason why a key is not accepted; too_many_failures before a key is
                looked at, where too many were not accepted from the same address.
        """
        self._check_origin(request)
        header = request.headers.get("Authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            token = token.strip()
            self.slow_down(request, token)
            found = self._keyring.recognise(token) if scheme.lower() == "bearer" else None
            if found is None:
                self.failed(request)
                raise unauthenticated()
            self._throttle.accepted(token)
            return found
        if (session := request.cookies.get(self.cookie)) is not None and (found := self._keyring.of_session(session)) is not None:
            if request.method not in SAFE_METHODS and request.headers.get("Origin") is None:
                raise Problem("origin_not_allowed", "Origin: a write in a session must say which page it comes from.")
            return found
        return READER if self._on_loopback(request) else None

    def slow_down(self, request: Request, token: str) -> None:
        """Let a secret be looked at, unless too many from the same address were not accepted.

        Raises:
            Problem: too_many_failures.
        """
        if wait_s := self._throttle.wait_s(self._address(request), token):
            raise Problem("too_many_failures", f"Ask again in {wait_s} s.", headers={"Retry-After": str(wait_s)})

    def failed(self, request: Request) -> None:
        """Count a secret that was not accepted."""
        self._throttle.failed(self._address(request))

    def _address(self, request: Request) -> str:
        """Return where a request comes from: what the declared proxy says of it, nobody else's word."""
        forwarded = request.headers.get("X-Forwarded-For", "") if self._settings.behind_tls_proxy else ""
        return forwarded.rpartition(",")[2].strip()[:64] or request.remote_addr or ""

    def _on_loopback(self, request: Request) -> bool:
        """Whether the request comes from this machine, not through a proxy, and not from another site's page."""
        if not self._settings.loopback or not is_loopback(request.remote_addr or ""):
            return False
        return not any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"))

    def _check_origin(self, request: Request) -> None:
        """Refuse what another site's page sends: it must neither write in a session nor read what is open on loopback."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            raise Problem("origin_not_allowed", "Origin: expected this service's own pages.")
        opened_as_page = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in SAFE_METHODS
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not opened_as_page:
            raise Problem("origin_not_allowed", "Sec-Fetch-Site: expected this service's own pages.")


def authorise(access: Access, principal: Principal | None, path: Mapping[str, str]) -> None:
    """Let a principal pass, or not. Every route goes through here.

    A controller's foreign site answers exactly as a site that does not exist.

    Raises:
        Problem: unauthenticated, role_not_allowed, or not_found.
    """
    if access.public:
        return
    if principal is None or (principal.role == "reader" and not access.open_on_loopback):
        raise unauthenticated()
    if principal.role == "reader":
        return
    if principal.role not in access.roles:
        raise Problem("role_not_allowed", f"This needs one of the roles {', '.join(sorted(access.roles))}.")
    if principal.role == "controller" and access.site is not None and path[access.site] not in principal.sites:
        raise not_found()


def unauthenticated() -> Problem:
    """Return the one answer to whoever has no valid key."""
    return Problem("unauthenticated", "Send a valid key as 'Authorization: Bearer ws_…'.", headers={"WWW-Authenticate": "Bearer"})


def _host_name(header: str) -> str:
    """Return the name out of `name`, `name:port` and `[address]:port`."""
    return header[: header.find("]") + 1].lower() if header.startswith("[") else header.partition(":")[0].lower()
