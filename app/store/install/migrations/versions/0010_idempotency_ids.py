"""secret ids for idempotency keys from an instant on; a mark for keys whose default workspace was deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("install", sa.Column("idempotency_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_key", sa.Column("must_name", sa.Boolean(), server_default=sa.text("false"), nullable=False))
