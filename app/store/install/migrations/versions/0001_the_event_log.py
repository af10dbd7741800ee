"""the event log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column("workspaces", postgresql.ARRAY(sa.Text(collation="C")), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("api_key_pkey")),
        sa.UniqueConstraint("token_sha256", name=op.f("api_key_token_sha256_key")),
    )
    op.create_table(
        "event",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("kid", sa.Text(collation="C"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("body_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("erased", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("data", sa.Text(collation="C"), nullable=False),
        sa.Column("subject_id", sa.Text(collation="C"), nullable=True),
        sa.Column("producer", sa.Text(collation="C"), nullable=True),
        sa.Column("metadata", sa.Text(collation="C"), nullable=True),
        sa.Column("correlation_id", sa.Text(collation="C"), nullable=True),
        sa.Column("causation_id", sa.Text(collation="C"), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "seq", name=op.f("event_pkey")),
    )
    op.create_index(
        "event_with_metadata_ix",
        "event",
        ["workspace_id", "seq"],
        unique=False,
        postgresql_where=sa.text("metadata IS NOT NULL"),
    )
    op.create_index(
        op.f("event_workspace_id_causation_id_seq_ix"),
        "event",
        ["workspace_id", "causation_id", "seq"],
        unique=False,
        postgresql_where=sa.text("causation_id IS NOT NULL"),
    )
    op.create_index(
        op.f("event_workspace_id_correlation_id_seq_ix"),
        "event",
        ["workspace_id", "correlation_id", "seq"],
        unique=False,
        postgresql_where=sa.text("correlation_id IS NOT NULL"),
    )
    op.create_index(op.f("event_workspace_id_hash_ix"), "event", ["workspace_id", "hash"], unique=True)
    op.create_index(op.f("event_workspace_id_id_ix"), "event", ["workspace_id", "id"], unique=True)
    op.create_index(op.f("event_workspace_id_recorded_at_ix"), "event", ["workspace_id", "recorded_at"], unique=True)
    op.create_index(op.f("event_workspace_id_source_seq_ix"), "event", ["workspace_id", "source", "seq"], unique=False)
    op.create_index(
        op.f("event_workspace_id_subject_id_seq_ix"),
        "event",
        ["workspace_id", "subject_id", "seq"],
        unique=False,
        postgresql_where=sa.text("subject_id IS NOT NULL"),
    )
    op.create_index(op.f("event_workspace_id_type_seq_ix"), "event", ["workspace_id", "type", "seq"], unique=False)
    op.create_index(
        op.f("event_workspace_id_user_id_seq_ix"), "event", ["workspace_id", "user_id", "seq"], unique=False
    )
    op.create_table(
        "event_count",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("type", sa.Text(collation="C"), nullable=False),
        sa.Column("source", sa.Text(collation="C"), nullable=False),
        sa.Column("has_metadata", sa.Boolean(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "type", "source", "has_metadata", name=op.f("event_count_pkey")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "install",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", sa.Text(collation="C"), nullable=False),
        sa.Column("kid", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("install_pkey")),
    )
    op.create_table(
        "workspace",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("workspace_pkey")),
    )
    op.create_table(
        "event_tip",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kid", sa.Text(collation="C"), nullable=False),
        sa.Column("counted", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("event_tip_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("event_tip_pkey")),
        postgresql_with={"fillfactor": 50},
    )
