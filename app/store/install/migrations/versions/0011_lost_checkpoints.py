"""a log that lost events is stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("event_tip", sa.Column("lost_size", sa.BigInteger(), nullable=True))
    op.add_column("event_tip", sa.Column("lost_root", sa.LargeBinary(), nullable=True))
