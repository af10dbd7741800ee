"""Webhook subscriptions in the database: the subscriptions, the dispatch, the claims of deliveries, and the purge.

Three promises hold whatever crashes. One transaction writes a subscription's deliveries and moves its place in the log,
so no match is missed or numbered twice. A claimed delivery becomes due again when the claim ends, so it is attempted at
least once. An attempt is recorded only if the delivery is still in the state in which it was attempted, so of two
processes that attempted it, only one decides what comes next.

Locks have one order: the workspace's row in `dispatch`, subscriptions by id, deliveries.
"""
