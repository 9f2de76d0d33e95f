"""All tables on one page. Migrations are what creates them; a test holds the two together.

Plans, problems, set-points, publications, telemetry and the audit log are written once: triggers refuse any change.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from service.store.types import Compressed, JsonText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

WRITTEN_ONCE = ("fleet_version", "problem", "plan", "publication", "setpoint", "telemetry", "acknowledgement", "audit_log")
"""No row of these is ever changed."""
NEVER_DELETED = ("audit_log",)

_ID = String(64)
_NAME = String(64)

fleet_version = Table(
    "fleet_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(80), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("body", Compressed, nullable=False),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", _NAME, nullable=False, unique=True),
    Column("kind", _NAME, nullable=False),
    Column("subject", _NAME),
    Column("declaration", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

series_point = Table(
    "series_point",
    metadata,
    Column("series_id", Integer, ForeignKey("series.id"), primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("known_at", UtcDateTime, primary_key=True),
    Column("value", Float, nullable=False),
    Column("flags", JsonText, nullable=False),
)

problem = Table(
    "problem",
    metadata,
    Column("digest", String(80), primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("body", Compressed, nullable=False),
)

plan = Table(
    "plan",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("purpose", _NAME, nullable=False),
    Column("basis", _NAME, nullable=False),
    Column("problem_digest", String(80), ForeignKey("problem.digest"), nullable=False, index=True),
    Column("digest", String(80), nullable=False),
    Column("head", JsonText, nullable=False),
    Column("body", Compressed, nullable=False),
)

publication = Table(
    "publication",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("unit", _NAME, nullable=False),
    Column("slot", UtcDateTime, nullable=False),
    Column("occasion", _ID, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("plan_id", _ID, ForeignKey("plan.id"), nullable=False, index=True),
    Column("basis", _NAME, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("sites", Integer, nullable=False),
    UniqueConstraint("unit", "slot", "occasion"),
)

setpoint = Table(
    "setpoint",
    metadata,
    Column("site", _NAME, primary_key=True),
    Column("version", Integer, ForeignKey("publication.version"), primary_key=True, index=True),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("valid_until", UtcDateTime, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("body", Compressed, nullable=False),
)

telemetry = Table(
    "telemetry",
    metadata,
    Column("site", _NAME, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("draw_w", BigInteger, nullable=False),
    Column("body", JsonText, nullable=False),
    Column("flags", JsonText, nullable=False),
)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("site", _NAME, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", _NAME, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("detail", Text, nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
)

event = Table(
    "event",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("kind", _NAME, nullable=False),
    Column("site", _NAME, nullable=False, index=True),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime),
    Column("order", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", Text),
)

entry = Table(
    "entry",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("kind", _NAME, nullable=False),
    Column("site", _NAME, index=True),
    Column("machine", _NAME),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime),
    Column("content", JsonText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("entered_as", _NAME, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Column("withdrawn_by", Text),
)

job = Table(
    "job",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("kind", _NAME, nullable=False),
    Column("state", _NAME, nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("payload", JsonText, nullable=False),
    Column("progress", JsonText, nullable=False),
    Column("holder", Text),
    Column("started_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("lease_until", UtcDateTime),
    Column("cancel_asked_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("result", Compressed),
    Column("problem", JsonText),
)

scenario = Table(
    "scenario",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("number", BigInteger, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("job_id", _ID, ForeignKey("job.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("request", JsonText, nullable=False),
    Column("base_digest", String(80)),
    Column("result", Compressed),
)

key = Table(
    "key",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("role", _NAME, nullable=False),
    Column("label", Text, nullable=False),
    Column("sites", JsonText, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
)

sign_in = Table(
    "sign_in",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("kind", _NAME, nullable=False),
    Column("key_id", _ID, ForeignKey("key.id"), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("principal", _ID, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False, index=True),
    Column("status", Integer),
    Column("headers", JsonText),
    Column("body", Compressed),
)

forecast_model = Table(
    "forecast_model",
    metadata,
    Column("series", _NAME, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("trained_at", UtcDateTime, nullable=False),
    Column("digest", String(80), nullable=False),
    Column("head", JsonText, nullable=False),
    Column("body", Compressed, nullable=False),
)

lease = Table(
    "lease",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", _NAME, nullable=False),
    Column("subject", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("request_id", Text),
    Column("detail", JsonText, nullable=False),
    Column("previous", String(80), nullable=False),
    Column("chain", String(80), nullable=False),
)

Index("ix_series_kind_subject", series.c.kind, series.c.subject)
Index("ix_setpoint_site_valid", setpoint.c.site, setpoint.c.valid_from)
