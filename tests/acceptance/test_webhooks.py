"""Webhooks while receivers fail, a server is killed and a subscription is deleted. `make soak` runs a longer form."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

import pytest

from tests.acceptance.processes import kill
from tests.acceptance.webhooks import (
    DELETED,
    HOOKS,
    LATE_SECONDS,
    SETTINGS,
    Fates,
    Figures,
    Subscribed,
    answer,
    asked,
    faults,
    faults_of_each,
    logging_batches,
    subscribed,
    wanted_of,
)
from tests.delivery.receiver import receiving
from tests.kit.checks import check_log
from tests.kit.servers import Server, serving, until

EVENTS = int(os.environ.get("WEBHOOK_EVENTS") or 400)
SECONDS = 60 + EVENTS / 40
"""How long all deliveries may take."""


@pytest.mark.timeout(SECONDS + 120)
def test_each_event_reaches_each_matching_subscription_whatever_breaks(database_url: str, data_dir: Path) -> None:
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(2**32))
    print(f"SEED={seed}")  # noqa: T201 - shown with a failure
    fates = Fates(seed)
    with (
        receiving(fates) as receiver,
        serving(data_dir, database_url=database_url, **SETTINGS) as dying,
        serving(data_dir, database_url=database_url, **SETTINGS) as other,
    ):
        living = [subscribed(dying, hook, receiver.url(f"/{hook.name}")) for hook in HOOKS]
        deleted = subscribed(dying, DELETED, receiver.url(f"/{DELETED.name}"))

        started = time.monotonic()
        with logging_batches([dying, other], EVENTS) as writers:
            until(lambda: len(writers.logged) >= EVENTS // 2 and fates.delivered[DELETED.name], seconds=SECONDS)
            kill(dying)
            until(lambda: len(writers.logged) >= EVENTS * 3 // 4, seconds=SECONDS)
            answer(other, "subscriptions.delete", {"subscriptionId": deleted.id})
            gone = time.time()
        wanted = {subscription.hook.name: wanted_of(subscription.hook, writers.logged) for subscription in living}
        until(lambda: all(fates.delivered[name] >= wanted[name].keys() for name in wanted), seconds=SECONDS)
        seconds = time.monotonic() - started
        # Deliveries whose answers the killed server did not record are repeated when its claims end.
        until(lambda: _is_through(other, living), seconds=60)

        told = [asked(other, "subscriptions.get", {"subscriptionId": subscription.id}) for subscription in living]

    log = check_log(database_url)
    assert {event["event_id"]: event["seq"] for event in log} == {
        id_: event["seq"] for id_, event in writers.logged.items()
    }
    assert len(log) == EVENTS
    assert [subscription["deliverySeq"] for subscription in told] == [len(each) for each in wanted.values()]
    assert [subscription["untried"] for subscription in told] == [0] * len(told)
    wrong = [
        fault
        for subscription in living
        for fault in faults(subscription, fates.of(subscription.hook), wanted[subscription.hook.name])
    ]
    wrong += faults_of_each(deleted, fates.of(DELETED))
    assert not wrong, "\n".join(wrong[:50])
    late = [each.signed_at - gone for each in fates.of(DELETED) if each.signed_at > gone + LATE_SECONDS]
    assert not late, f"seconds after the deletion: {late}"
    for server in (dying, other):
        lines = server.log.read_text().splitlines()
        assert not [line for line in lines if "defect" in line or "Traceback" in line]
    figures = Figures(EVENTS, seconds=seconds, moved=writers.moved)
    for hook in (*HOOKS, DELETED):
        figures.count(fates.of(hook))
    print(figures.line())  # noqa: T201 - what `make soak` shows


def _is_through(server: Server, subscriptions: Sequence[Subscribed]) -> bool:
    """Whether every delivery has ended."""
    pages = [{"subscriptionId": each.id, "status": "pending", "limit": 1} for each in subscriptions]
    return not any(asked(server, "subscriptions.deliveries", each)["deliveries"] for each in pages)
