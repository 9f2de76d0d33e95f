"""Honours the Idempotency-Key of a POST: the same request again gets the answer of the first, and happens once."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from flask import Response, request

from service.http.log import tell
from service.http.problems import FieldError, Problem
from service.http.routes import Call, Route
from service.store.database import StoreUnavailableError
from service.store.idempotency import Idempotency, KeptAnswer, KeyReusedError, StillRunningError

HEADER = "Idempotency-Key"
KEPT_HEADERS = ("Location", "Retry-After", "Content-Type")


def once(kept: Idempotency, route: Route, call: Call, raw: bytes, perform: Callable[[Call], Response]) -> Response:
    """Perform a request, or give the answer that its key got before.

    Answers of requests that took effect are kept; a refused one may be tried again with the same key. What the request
    creates takes an id derived from the key, so that a repeat finds it even if the process died, or the disk filled up, before
    the answer was kept.

    Raises:
        Problem: malformed_header, idempotency_key_reused or idempotency_running.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return perform(call)
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        error = FieldError(part="header", pointer=f"/{HEADER}", code="malformed", detail="expected 1 to 255 printable characters")
        raise Problem("malformed_header", f"{HEADER}: {error.detail}", [error])
    who = call.principal.id
    try:
        answer = kept.begin(who, key, _fingerprint(raw), call.now)
    except KeyReusedError:
        raise Problem("idempotency_key_reused", f"{HEADER}: it came before with another request; take a new one.") from None
    except StillRunningError:
        raise Problem("idempotency_running", f"{HEADER}: ask again.", headers={"Retry-After": "1"}) from None
    if answer is not None:
        return Response(answer.body, answer.status, {**answer.headers, "Idempotency-Replayed": "true"})
    derived = hashlib.sha256(f"{who}\0{route.path}\0{key}".encode()).hexdigest()[:32]
    try:
        response = perform(replace(call, idempotency_key=key, derived_id=derived))
    except BaseException:
        try:
            kept.release(who, key)
        except StoreUnavailableError as error:  # it is free again in two minutes; why the request failed is more to the point
            tell("key not given back", request_id=call.request_id, cause=str(error))
        raise
    body = _without_secret(response.get_data()) if route.once else response.get_data()
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    try:
        kept.finish(who, key, KeptAnswer(response.status_code, headers, body))
    except StoreUnavailableError as error:  # what was asked has happened: nobody may be told that it has not
        tell("answer not kept", request_id=call.request_id, cause=str(error))
    return response


def _without_secret(body: bytes) -> bytes:
    return json.dumps({**json.loads(body), "token": None}).encode()


def _fingerprint(raw: bytes) -> str:
    """Digest of everything that makes two requests the same."""
    parts = (request.method.encode(), request.path.encode(), request.query_string, request.mimetype.encode(), raw)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
