"""Run by Alembic: applies the migrations on the connection that the caller opened."""

from alembic import context

from shared.db.models import Base

connection = context.config.attributes["connection"]
# PostgreSQL: two that migrate at once wait for each other here.
if connection.dialect.name == "postgresql":
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7243001)")
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    user_module_prefix="base.",
)
with context.begin_transaction():
    context.run_migrations()
