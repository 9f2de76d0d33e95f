"""/v1/keys: issue, list and revoke keys. The text of a key is shown once."""

from typing import Annotated

from annotated_types import Ge, Le, Len

from models.base import Name, Record
from service.api.common import fleet_in_force, found, invalid, unknown_site, who
from service.http.routes import Answer, Call, Route, writes
from service.ports import Services
from service.store.records import KeyRecord, Role


class KeyRequest(Record):
    """A key of a role; a controller's names its sites."""

    role: Role
    label: Annotated[str, Len(1, 200)]
    sites: Annotated[tuple[Name, ...], Len(0, 1_000)] = ()
    lifetime_days: Annotated[int, Ge(1), Le(365)] | None = None


class NewKey(Record):
    """A key and its text, which is not kept and cannot be had again."""

    key: KeyRecord
    token: str | None


class Keys(Record):
    """All keys, oldest first, without their secrets."""

    items: tuple[KeyRecord, ...]


def routes(services: Services) -> list[Route]:
    """Return the routes of keys."""
    store = services.store

    def issue(call: Call, body: KeyRequest) -> Answer:
        """Make a key."""
        if body.sites:
            fleet = fleet_in_force(services)
            for place, site in enumerate(body.sites):
                if site not in fleet.site_by_name:
                    raise unknown_site(fleet, site, f"/sites/{place}")
        try:
            record, token = services.keyring.issue(
                body.role, label=body.label, by=who(call), sites=body.sites, lifetime_days=body.lifetime_days,
                request_id=call.request_id,
            )  # fmt: skip
        except ValueError as error:
            field, _, detail = str(error).partition(": ")
            raise invalid(f"/{field}", "invalid_value", detail) from None
        return Answer(NewKey(key=record, token=token), headers={"Location": f"/v1/keys/{record.key_id}"})

    def keys(call: Call) -> Keys:
        """List keys, also those that are revoked or expired."""
        return Keys(items=tuple(store.keys.all()))

    def revoke(call: Call, key: str) -> KeyRecord:
        """Close a key for ever, at once, with its sessions."""
        found(store.keys.get(key))
        return store.keys.revoke(key, by=who(call), at=call.now, request_id=call.request_id)

    admin = writes("admin")
    return [
        Route(
            "POST", "/v1/keys", issue, admin, "Issue a key", "keys", NewKey, 201, once=True, problems=("not_found",),
            headers={"Location": "Where the key is."},
        ),
        Route("GET", "/v1/keys", keys, admin, "Keys", "keys", Keys),
        Route("DELETE", "/v1/keys/{key}", revoke, admin, "Revoke a key", "keys", KeyRecord),
    ]  # fmt: skip
