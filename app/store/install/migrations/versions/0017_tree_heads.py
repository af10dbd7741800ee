"""what `_node` says about the other logs, and its witnesses"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Nobody waits, and older servers go on."""
    op.add_column(
        "install",
        sa.Column("headed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("'epoch'")),
    )
    op.create_table(
        "tree_head",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name="tree_head_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "tree_leaf",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("log", sa.Text(collation="C"), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "seq", "place", name="tree_leaf_pkey"),
    )
    op.create_index(
        "tree_leaf_log_ix",
        "tree_leaf",
        ["workspace_id", "log", "size"],
        postgresql_where=sa.text("log IS NOT NULL"),
    )
    op.add_column("install", sa.Column("cosigned_size", sa.BigInteger(), nullable=True))
    op.create_table(
        "node_witness",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("cosigned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Text(collation="C"), nullable=True),
        sa.Column("alarm", sa.Text(collation="C"), nullable=True),
        sa.PrimaryKeyConstraint("workspace_id", "key", name="node_witness_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "cosignature",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(collation="C"), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("line", sa.Text(collation="C"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "size", "key", name="cosignature_pkey"),
    )
