"""Webhook subscriptions in the database: made, looked through the log for, claimed, and purged.

Three promises hold over any crash. A subscription's deliveries and its place in the log move in one transaction, so no
match is missed and none is numbered twice. A delivery that is claimed becomes due again when the claim ends, so it is
attempted at least once. An attempt is recorded for the state that it was made in, so of two processes that both made
it, only one decides what comes next.

Locks are taken in one order: the workspace's row in `dispatch`, subscriptions by id, deliveries.
"""
