"""/v1/audit-log: who did what, as an append-only chain."""

from models.base import Count, Record, Text
from service.api.common import QueryName
from service.http.paging import Listing, PageQuery
from service.http.routes import Call, Route, writes
from service.ports import Services
from service.store.records import AuditEntry


class LogQuery(PageQuery):
    """Lines of one action, such as publish or alarm, or all."""

    action: QueryName | None = None


class AuditLog(Listing):
    """Lines, newest first."""

    items: tuple[AuditEntry, ...]


class Verification(Record):
    """Whether the chain holds; `number` and `chain` are of its last line, to be copied outside."""

    intact: bool
    broken_at: Count | None
    number: Count
    chain: Text


def routes(services: Services) -> list[Route]:
    """Return the routes of the audit log."""
    log = services.store.audit_log

    def lines(call: Call, query: LogQuery) -> AuditLog:
        """List lines."""
        return AuditLog.of(log.page(query.after, query.limit, action=query.action))

    def verify(call: Call) -> Verification:
        """Recompute the whole chain."""
        broken_at = log.broken_at()
        number, chain = log.head()
        return Verification(intact=broken_at is None, broken_at=broken_at, number=number, chain=chain)

    look = writes("admin", "operator")
    return [
        Route("GET", "/v1/audit-log", lines, look, "The audit log", "audit-log", AuditLog),
        Route("GET", "/v1/audit-log/verification", verify, look, "Whether the chain holds", "audit-log", Verification),
    ]
