"""Alembic's environment: runs the migrations over the connection that `tables.open_database` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
