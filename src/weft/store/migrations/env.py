"""Alembic's entry: runs the migrations on the connection that weft.store.opening hands over, inside its transaction."""

from alembic import context

from weft.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
