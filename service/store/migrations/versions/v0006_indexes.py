"""Indexes of what refers to what: a publication's documents are found by its version, and old rows go without a scan for each."""

from alembic import op

revision = "0006"
down_revision = "0005"

REFERENCES = (("setpoint", "version"), ("publication", "plan_id"), ("plan", "problem_digest"), ("scenario", "job_id"))


def upgrade() -> None:
    """Create the indexes."""
    for table, column in REFERENCES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)
