"""Alembic's entry: runs the migrations on the connection that `app.store.install.install.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

import app.store.install.intent_tables
import app.store.install.tree_tables
import app.store.install.witness_tables  # noqa: F401 - registers the tables

# Each migration is a transaction of its own, so that a migration may end it and build an index while servers serve.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
