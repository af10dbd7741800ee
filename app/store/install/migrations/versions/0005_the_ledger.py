"""the ledger: audit, keys, proofs, and triggers that protect the log."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A body changes only once, when it is erased; a header never changes. Only a separate role, which no server has, may
# delete a workspace.
EVENT_KEPT = """
CREATE FUNCTION event_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = 'synap_custodian' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND NOT OLD.erased AND NEW.erased AND left(OLD.type, 6) <> 'synap.'
        AND (OLD.workspace_id, OLD.seq, OLD.id, OLD.type, OLD.kid, OLD.recorded_at, OLD.prev_hash, OLD.body_hash,
            OLD.hash, OLD.signature, OLD.source, OLD.occurred_at)
        IS NOT DISTINCT FROM (NEW.workspace_id, NEW.seq, NEW.id, NEW.type, NEW.kid, NEW.recorded_at, NEW.prev_hash,
            NEW.body_hash, NEW.hash, NEW.signature, NEW.source, NEW.occurred_at)
        AND (NEW.salt, NEW.user_id, NEW.data, NEW.subject_id, NEW.producer, NEW.metadata, NEW.correlation_id,
            NEW.causation_id)
        IS NOT DISTINCT FROM (''::bytea, '', '{}', NULL, NULL, NULL, NULL, NULL)
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an event is never changed or deleted, but that its body may be erased'
        USING ERRCODE = 'restrict_violation';
END $$
"""

AUDIT_KEPT = """
CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an audit entry is never changed or deleted' USING ERRCODE = 'restrict_violation';
END $$
"""

# A function of the database, so that an act and its entry are one statement: the next seq of the chain is known only
# under the tip's lock. The hashed text is JCS: its members are sorted, and only the detail can contain a character that
# JSON escapes. A second call with the same id does nothing.
AUDIT_APPEND = """
CREATE FUNCTION audit_append(logs text[], entry uuid, act text, by text, about text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    log text;
    tip audit_tip;
    at timestamptz;
    link bytea;
BEGIN
    FOR log IN SELECT DISTINCT unnest(logs) COLLATE "C" ORDER BY 1 LOOP
        INSERT INTO audit_tip (workspace_id, seq, hash, recorded_at)
            VALUES (log, -1, decode(repeat('00', 32), 'hex'), 'epoch') ON CONFLICT DO NOTHING;
        SELECT * INTO tip FROM audit_tip WHERE workspace_id = log FOR UPDATE;
        CONTINUE WHEN EXISTS (SELECT FROM audit_entry WHERE workspace_id = log AND id = entry);
        at := greatest(clock_timestamp(), tip.recorded_at + interval '1 microsecond');
        link := sha256('\\x00'::bytea || convert_to(concat(
            '{"action":', to_json(act), ',"actor":', to_json(by), ',"detail":', about, ',"id":"', entry,
            '","log":"', log, '","prev_hash":"sha256:', encode(tip.hash, 'hex'), '","seq":', tip.seq + 1,
            ',"timestamp":"', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '","v":"evaudit/1"}'
        ), 'UTF8'));
        INSERT INTO audit_entry (workspace_id, seq, id, action, actor, recorded_at, detail, prev_hash, hash)
            VALUES (log, tip.seq + 1, entry, act, by, at, about, tip.hash, link);
        UPDATE audit_tip SET seq = tip.seq + 1, hash = link, recorded_at = at WHERE workspace_id = log;
    END LOOP;
    RETURN true;
END $$
"""


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "audit_entry",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(collation="C"), nullable=False),
        sa.Column("actor", sa.Text(collation="C"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(collation="C"), nullable=False),
        sa.Column("prev_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "seq", name=op.f("audit_entry_pkey")),
    )
    op.create_index(
        op.f("audit_entry_workspace_id_action_seq_ix"), "audit_entry", ["workspace_id", "action", "seq"], unique=False
    )
    op.create_index(op.f("audit_entry_workspace_id_id_ix"), "audit_entry", ["workspace_id", "id"], unique=True)
    op.create_index(
        op.f("audit_entry_workspace_id_recorded_at_ix"), "audit_entry", ["workspace_id", "recorded_at"], unique=True
    )
    op.create_table(
        "audit_tip",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("witnessed", sa.BigInteger(), server_default=sa.text("-1"), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("audit_tip_workspace_id_fkey")),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("audit_tip_pkey")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "key_rotation",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kid_old", sa.Text(collation="C"), nullable=False),
        sa.Column("kid_new", sa.Text(collation="C"), nullable=False),
        sa.Column("rotated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature_old", sa.LargeBinary(), nullable=True),
        sa.Column("signature_new", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("key_rotation_pkey")),
    )
    op.create_table(
        "merkle_node",
        sa.Column("workspace_id", sa.Text(collation="C"), nullable=False),
        sa.Column("height", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "height", "place", name=op.f("merkle_node_pkey")),
    )
    op.create_index(op.f("delivery_workspace_id_seq_ix"), "delivery", ["workspace_id", "seq"], unique=False)
    op.add_column("install", sa.Column("origin", sa.Text(collation="C"), nullable=True))
    op.execute("UPDATE install SET origin = substr(node, length('did:key:') + 1)")
    op.alter_column("install", "origin", nullable=False)
    op.add_column(
        "install",
        sa.Column("witnessed_at", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
    )
    op.add_column("workspace", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(EVENT_KEPT)
    op.execute(AUDIT_KEPT)
    op.execute(AUDIT_APPEND)
    # ALWAYS, so that they also apply in a session that replicates (`session_replication_role`).
    for table, function in (
        ("event", "event_kept"),
        ("audit_entry", "audit_kept"),
    ):
        op.execute(
            f"CREATE TRIGGER {function} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
        )
        op.execute(f"CREATE TRIGGER {function}_whole BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {function}()")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {function}")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {function}_whole")
