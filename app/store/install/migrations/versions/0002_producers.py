"""producers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "producer_count",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("producer", sa.Text(collation="C"), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "producer", name=op.f("producer_count_pkey")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "event_producer_ix",
        "event",
        ["workspace_id", sa.literal_column("coalesce(producer, source)"), "seq"],
        unique=False,
    )
    # No event is appended meanwhile, because creating the index above locks the table until this transaction ends.
    op.execute(
        "INSERT INTO producer_count SELECT workspace_id, coalesce(producer, source), count(*) FROM event GROUP BY 1, 2"
    )
