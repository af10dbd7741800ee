"""one index covers all built-in kinds of metadata; the schema stores which servers work with it."""

from alembic import op

from app.store.install.concurrently import create_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# A sum of bits, in the order of the names. Written out, because an index keeps the expression that it was created with.
KINDS = " + ".join(
    f"(strpos(metadata, '\"{kind}\":') > 0)::integer * {2**place}"
    for place, kind in enumerate(("ai", "automation", "custom", "import", "sync"))
)


def upgrade() -> None:
    """Apply. Servers continue meanwhile, including older ones."""
    op.execute("ALTER TABLE alembic_version ADD COLUMN IF NOT EXISTS serves_from text NOT NULL DEFAULT '0012'")
    # The planner uses no statistics of a partial index.
    op.execute(f"CREATE STATISTICS IF NOT EXISTS event_kinds_st ON ({KINDS}) FROM event")
    create_index("event_kinds_ix", f"event (workspace_id, ({KINDS}), seq) WHERE metadata IS NOT NULL")
