"""removes the indexes that servers written for 0013 do not use."""

from alembic import op

from app.store.install.concurrently import drop_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KINDS = ("ai", "automation", "custom", "import", "sync")


def upgrade() -> None:
    """Apply when no older server is connected. Servers continue meanwhile."""
    drop_index("event_workspace_id_recorded_at_ix")
    for name in ("metadata", *KINDS):
        drop_index(f"event_with_{name}_ix")
    for kind in KINDS:
        op.execute(f"DROP STATISTICS IF EXISTS event_with_{kind}_st")
    op.execute("UPDATE alembic_version SET serves_from = '0013'")
