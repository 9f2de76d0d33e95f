"""Alembic's entry: runs migrations on the connection that `service.store.migrate` hands over."""

from alembic import context

from service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all of it, and commits or rolls back as one
)
with context.begin_transaction():
    context.run_migrations()
