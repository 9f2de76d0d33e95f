"""Takes a request through host check, authentication, authorisation, validation, idempotency and handler to its answer."""

import json
import secrets
import traceback
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from flask import Flask, Response, g, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from models.reading import BadInputError
from service.config import Settings
from service.http.guard import Guard, authorise
from service.http.idempotency import once
from service.http.intake import check_path, read_body, read_query
from service.http.log import tell
from service.http.problems import MEDIA_TYPE, FieldError, Problem, not_found, of_bad_input
from service.http.routes import Answer, Call, Route, UndeclaredError
from service.keys import Principal
from service.ports import RefusedError
from service.store import Store
from service.store.common import ConflictError, UnreadableError
from service.store.database import IN_VAIN_FOR_S, StoreLockedError, StoreUnavailableError

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API_CSP = "default-src 'none'; frame-ancestors 'none'"
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Dispatcher:
    """Registers routes on a Flask application and serves them."""

    def __init__(self, settings: Settings, store: Store, guard: Guard, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._guard = guard
        self._now = now

    def register(self, app: Flask, routes: Iterable[Route]) -> None:
        """Bind routes, errors and headers to an application.

        Raises:
            UndeclaredError: two routes share a method and path.
        """
        seen: set[tuple[str, str]] = set()
        for route in routes:
            if (route.method, route.path) in seen:
                raise UndeclaredError(f"{route.method} {route.path}: declared twice")
            seen.add((route.method, route.path))
            app.add_url_rule(
                route.rule, endpoint=f"{route.method} {route.path}", methods=[route.method], view_func=self._view(route),
                provide_automatic_options=False,
            )  # fmt: skip
        app.before_request(self._begin)
        app.after_request(_finish)
        app.register_error_handler(Exception, self._refused)

    def _begin(self) -> None:
        g.request_id = secrets.token_hex(16)
        self._guard.check_host(request)

    def _view(self, route: Route) -> Callable[..., Response]:
        takes_query = route.model("query")
        takes_body = route.model("body") is not None

        def answered(**path: str) -> Response:
            principal = None if route.access.public else self._guard.principal(request)
            authorise(route.access, principal, path)
            check_path(path)
            parts: dict[str, Any] = dict(path)
            if (query := read_query(request, takes_query)) is not None:
                parts["query"] = query
            raw, body = read_body(request, route, self._settings)
            if takes_body:
                parts["body"] = body
            call = Call(
                principal=principal or Principal(id="anybody", role="reader"), request_id=g.request_id, now=self._now(),
                header=request.headers.get,
            )  # fmt: skip

            def perform(call: Call) -> Response:
                return _answer(route, route.handler(call=call, **parts))

            return once(self._store.idempotency, route, call, raw, perform) if route.method == "POST" else perform(call)

        def view(**path: str) -> Response:
            with self._store.hurrying():
                return answered(**path)

        return view

    def _refused(self, error: Exception) -> Response:
        """Turn anything that went wrong into a problem document; what nobody foresaw shows its request id and nothing else."""
        problem = _problem_of(error)
        if problem is None:
            trace = "".join(traceback.format_exception(error))  # lines of code, never their variables: keys may be among them
            tell("unforeseen", request_id=_request_id(), method=request.method, path=request.path, trace=trace)
            problem = Problem("internal_error", "The request id finds the cause in the service's log.")
        body = json.dumps(problem.document(_request_id()), ensure_ascii=False)
        return Response(body, problem.status, problem.headers, content_type=MEDIA_TYPE)


def _request_id() -> str:
    return str(g.get("request_id", ""))


def _problem_of(error: Exception) -> Problem | None:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RefusedError):
        faults = [FieldError(part="body", **fault.model_dump()) for fault in error.faults]
        first = faults[0]
        return Problem("invalid_input", f"{first.pointer}: {first.detail}" if first.pointer else first.detail, faults)
    if isinstance(error, BadInputError):
        return of_bad_input(error)
    if isinstance(error, StoreUnavailableError):
        tell("store unavailable", request_id=_request_id(), cause=str(error))
        why = f"The store is locked: {error}. " if isinstance(error, StoreLockedError) else ""
        again = {"Retry-After": f"{IN_VAIN_FOR_S:.0f}"}
        return Problem("store_unavailable", f"{why}What was asked did not happen; ask again.", headers=again)
    if isinstance(error, UnreadableError):
        return Problem("other_release", str(error))
    if isinstance(error, ConflictError):
        return Problem("conflict", str(error))
    if isinstance(error, HTTPException):
        return _of_werkzeug(error)
    return None


def _of_werkzeug(error: HTTPException) -> Problem | None:
    if error.code == 405:
        allowed = {"Allow": ", ".join(sorted(getattr(error, "valid_methods", None) or ()))}
        return Problem("method_not_allowed", f"{request.method} is not among {allowed['Allow']}.", headers=allowed)
    if error.code == 413:
        return Problem("body_too_large", "The body is too large.")
    if error.code is not None and 400 <= error.code < 500:
        return not_found() if error.code in (404, 308) else Problem("malformed_header", "The request cannot be read.")
    return None


def _answer(route: Route, given: Any) -> Response:
    answer = given if isinstance(given, Answer) else Answer(given)
    status = answer.status or route.status
    if isinstance(answer.body, BaseModel):
        body: bytes | str = answer.body.model_dump_json()
    else:
        body = answer.body or b""
    if status in (204, 304):
        return Response(status=status, headers=dict(answer.headers))
    return Response(body, status, dict(answer.headers), content_type=answer.media_type)


def _finish(response: Response) -> Response:
    """Add the headers that every answer carries."""
    page = response.mimetype == "text/html"
    response.headers.setdefault("Content-Security-Policy", PAGE_CSP if page else API_CSP)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Wattsplit-Request-Id"] = _request_id()
    for name, value in SECURITY_HEADERS.items():
        response.headers[name] = value
    return response
