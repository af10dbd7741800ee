"""intents: their state, which follows from the log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=nullable)


def upgrade() -> None:
    """Apply. Nobody waits, and older servers go on."""
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "intent",
        _text("workspace_id"),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        _text("user_id"),
        sa.Column("expires_at", instant, nullable=True),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("approvers", ARRAY(sa.Text(collation="C")), nullable=True),
        _text("decision", nullable=True),
        _text("ended", nullable=True),
        sa.Column("started", sa.Integer(), nullable=False),
        _text("state"),
        sa.Column("due_at", instant, nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "id", name="intent_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("intent_workspace_id_seq_ix", "intent", ["workspace_id", "seq"], unique=True)
    op.create_index("intent_workspace_id_state_seq_ix", "intent", ["workspace_id", "state", "seq"])
    op.create_index("intent_due_ix", "intent", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "intent_start",
        _text("workspace_id"),
        sa.Column("intent_id", sa.Uuid(), nullable=False),
        sa.Column("use", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        _text("request_id", nullable=True),
        sa.Column("started_at", instant, nullable=False),
        sa.Column("due_at", instant, nullable=True),
        _text("outcome", nullable=True),
        _text("late", nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "intent_id", "use", name="intent_start_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index("intent_start_workspace_id_id_ix", "intent_start", ["workspace_id", "id"], unique=True)
    op.create_index(
        "intent_start_request_ix", "intent_start", ["workspace_id", "intent_id", "request_id"], unique=True
    )
    op.create_index("intent_start_due_ix", "intent_start", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
