"""keys whose events certain authors sign"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Nobody waits, and older servers go on."""
    authors = sa.Column("authors", ARRAY(sa.Text(collation="C")), server_default=sa.text("'{}'"), nullable=False)
    op.add_column("api_key", authors)
    op.add_column("api_key", sa.Column("author_required", sa.Boolean(), server_default=sa.text("false"), nullable=False))
