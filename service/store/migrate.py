"""Brings the schema up to date at start, and refuses one that is newer than this program."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.store.database import Database


class SchemaTooNewError(Exception):
    """The database was written by a newer release; this one would not understand it."""


def migrate(database: Database) -> str:
    """Run the migrations that are missing and return the schema's revision.

    Raises:
        SchemaTooNewError: the database carries a revision that this program does not know.
    """
    config = Config()
    config.set_main_option("script_location", "service.store:migrations")
    script = ScriptDirectory.from_config(config)
    known = {revision.revision for revision in script.walk_revisions()}
    with database.write() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in known:
            raise SchemaTooNewError(
                f"the store has schema {present!r}, this program knows {script.get_current_head()!r}: install a newer release"
            )
        if present != script.get_current_head():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    head = script.get_current_head()
    if head is None:
        raise RuntimeError("no migrations are installed")
    return head
