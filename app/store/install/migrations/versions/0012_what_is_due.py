"""indexes find due deliveries and what must be purged."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Servers that deliver webhooks wait until the index on `delivery` is built."""
    for name, column, where in (
        ("subscription_behind_ix", "cursor", "state = 'active' AND cursor IS NOT NULL"),
        ("subscription_unannounced_ix", "stopped_at", "NOT announced"),
        ("subscription_deleted_ix", "stopped_at", "state = 'deleted'"),
    ):
        op.create_index(name, "subscription", [column], postgresql_where=sa.text(where))
    op.create_index("delivery_ended_ix", "delivery", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
