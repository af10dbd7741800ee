"""the ids of idempotency keys are secret from an instant on."""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column('install', sa.Column('idempotency_since', sa.DateTime(timezone=True), nullable=True))
