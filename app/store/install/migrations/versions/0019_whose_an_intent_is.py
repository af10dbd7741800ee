"""whose an intent is: the users who asked for it or are named to approve it, so that a list of theirs has an index."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FILL = """
INSERT INTO intent_party (workspace_id, intent_id, user_id, seq, state)
SELECT DISTINCT i.workspace_id, i.id, party.user_id, i.seq, i.state
FROM intent AS i CROSS JOIN unnest(i.approvers || i.user_id) AS party (user_id)
WHERE i.expires_at IS NOT NULL
"""


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(collation="C"), nullable=False)


def upgrade() -> None:
    """Apply. Nobody waits, and servers of releases before intents go on."""
    op.create_table(
        "intent_party",
        _text("workspace_id"),
        sa.Column("intent_id", sa.Uuid(), nullable=False),
        _text("user_id"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        _text("state"),
        sa.PrimaryKeyConstraint("workspace_id", "intent_id", "user_id", name="intent_party_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.execute(FILL)
    op.create_index("intent_party_state_ix", "intent_party", ["user_id", "workspace_id", "state", "seq"])
