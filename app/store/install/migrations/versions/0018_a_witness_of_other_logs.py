"""a witness of other logs: its identity, and the last checkpoint of each log that it cosigned."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def upgrade() -> None:
    """Apply. Nobody waits, and older servers go on."""
    op.create_table(
        "witness",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("name"),
        _text("kid"),
        sa.PrimaryKeyConstraint("id", name="witness_pkey"),
    )
    op.create_table(
        "witnessed_log",
        sa.Column("origin_hash", sa.LargeBinary(), nullable=False),
        _text("origin"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        _text("note"),
        sa.PrimaryKeyConstraint("origin_hash", name="witnessed_log_pkey"),
        postgresql_with={"fillfactor": 50},
    )
