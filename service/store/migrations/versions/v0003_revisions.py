"""Acknowledgements of documents that were made on the spot, in the stead of a version that had ended."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Tell which revision of a version is acknowledged; until now it was always the published one."""
    op.add_column("acknowledgement", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
