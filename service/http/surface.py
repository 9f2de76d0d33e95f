"""What surrounds the API: its description, its reference page, and the way into a session of the page."""

import json
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

from flask import request
from pydantic import BaseModel, ConfigDict, Field

from service.http import reference
from service.http.guard import Guard, unauthenticated
from service.http.paging import Query
from service.http.problems import not_found
from service.http.routes import EVERYBODY, PUBLIC, Answer, Call, Route, reads, writes
from service.keys import SESSION_LIFETIME
from service.ports import Services


class Described(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


class SignInQuery(Query):
    """The one-time token of a sign-in link."""

    token: Annotated[str, Field(min_length=1, max_length=100)]


class NoBody(Query):
    """An empty object."""


def surface_routes(services: Services, guard: Guard, describe: Callable[[], dict[str, Any]]) -> list[Route]:
    """Return the routes; `describe` makes the OpenAPI document, once, when it is first asked for."""
    described = cache(describe)

    def openapi(call: Call) -> Answer:
        """Describe every resource, its schemas, its policy and its refusals."""
        return Answer(json.dumps(described(), ensure_ascii=False).encode())

    def docs(call: Call) -> Answer:
        """Show the same for people."""
        return Answer(reference.page(described()), media_type="text/html; charset=utf-8")

    def docs_style(call: Call) -> Answer:
        return Answer(reference.style(), media_type="text/css; charset=utf-8", headers={"Cache-Control": "max-age=3600"})

    def sign_in(call: Call, query: SignInQuery) -> Answer:
        """Spend a one-time token and open a session of the page; who follows a spent link by a browser is told there."""
        guard.slow_down(request, query.token)
        if request.method == "HEAD":
            raise not_found()
        if (session := services.keyring.open_session(query.token)) is None:
            guard.failed(request)
            if "text/html" in request.headers.get("Accept", ""):
                return Answer(None, 303, {"Location": "/?sign-in=spent"})
            raise not_found()
        return Answer(None, 303, {"Location": "/", "Set-Cookie": cookie(session)})

    def sign_in_by_key(call: Call, body: NoBody) -> Answer:
        """Open a session of the page in the name of the key that the request carries."""
        session = services.keyring.open_session(services.keyring.sign_in_token(call.principal.id))
        if session is None:  # the key was revoked just now
            raise unauthenticated()
        return Answer(None, 204, {"Set-Cookie": cookie(session)})

    def cookie(session: str) -> str:
        flags = f"Path=/; HttpOnly; SameSite=Strict; Max-Age={int(SESSION_LIFETIME.total_seconds())}"
        return f"{guard.cookie}={session}; {flags}{'; Secure' if services.settings.behind_tls_proxy else ''}"

    def sign_out(call: Call, body: NoBody) -> Answer:
        """Close the session that the request comes in."""
        if (session := request.cookies.get(guard.cookie)) is not None:
            services.keyring.close_session(session)
        return Answer(None, 204, {"Set-Cookie": f"{guard.cookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"})

    everybody, people = reads(*EVERYBODY), writes("planner", "operator", "admin")
    return [
        Route("GET", "/openapi.json", openapi, everybody, "This description", "about", answer=Described),
        Route("GET", "/docs", docs, everybody, "The reference page", "about", hidden=True),
        Route("GET", "/docs/reference.css", docs_style, everybody, "Its style", "about", hidden=True),
        Route("GET", "/sign-in", sign_in, PUBLIC, "Open a session of the page", "about", hidden=True),
        Route("POST", "/sign-in", sign_in_by_key, people, "Open a session in the name of a key", "about", hidden=True),
        Route("POST", "/sign-out", sign_out, writes(*EVERYBODY), "Close the session", "about", hidden=True),
    ]
