"""the install secret has a fingerprint."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("install", sa.Column("secret_fingerprint", sa.LargeBinary(), nullable=True))
