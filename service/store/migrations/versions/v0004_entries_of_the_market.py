"""Entries that are of no site: known changes of the network's difficulty."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Let an entry be about no site and no machine."""
    with op.batch_alter_table("entry") as table:
        for name in ("site", "machine"):
            table.alter_column(name, existing_type=sa.String(length=64), nullable=True)
