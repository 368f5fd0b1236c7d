"""Lets Alembic run on the connection that `receiver.store.migrate` opened."""

from alembic import context

from receiver.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
