"""Filters find an erased event only by what readers still see: alike in SQL, in memory and at every door."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from app.store.audit.log import Act
from app.store.events.erasure import ErasureRequest
from tests.filters.logs import Logs
from tests.store.opened import draft

ID = "01938c1e-0000-7000-8000-000000000001"

OCCURRED_AT = "2024-12-09T01:00:00.000000Z"


@pytest.fixture
def erased(logs: Logs) -> Logs:
    """A log with an erased event, a similar event that is not erased, and the event that reports the erasure."""
    members: dict[str, Any] = {
        "metadata": {"ai": {"agent": "a"}},
        "subject_id": "s",
        "producer": "p",
        "causation_id": "c",
        "correlation_id": "d",
        "occurred_at": datetime(2024, 12, 9, 1, tzinfo=UTC),
    }
    logs.append(draft("a.b", {"x": 1}, id=ID, **members), draft("a.b", {"x": 1}, **members))
    wanted = ErasureRequest("ids", ids=[UUID(ID)])
    erasure = logs.store.erasure()
    logs.store.run(
        erasure.erase(logs.workspace, wanted, lambda _, seq: Act.of("events.erased", "k", {"seq": seq}, ["default"]))
    )
    assert logs.shown()[0]["erased"]
    return logs


@pytest.mark.parametrize(
    ("raw", "seqs"),
    [
        ({"occurredAt": OCCURRED_AT}, [0, 1]),
        ({"occurredAt": {"isNull": True}}, [2]),
        ({"NOT": {"occurredAt": {"gt": "2024-12-09T00:00:00Z"}}}, [2]),
        ({"id": ID}, [0]),
        ({"type": "a.b"}, [0, 1]),
        ({"seq": {"lt": 1}}, [0]),
        ({"source": "api"}, [0, 1]),
        ({"producer": "p"}, [1]),
        ({"producer": "api"}, [0]),
        ({"userId": ""}, [0]),
        ({"subjectId": "s"}, [1]),
        ({"causationId": "c"}, [1]),
        ({"correlationId": "d"}, [1]),
        ({"data.x": 1}, [1]),
        ({"data": {"isNull": False}}, [0, 1, 2]),
        ({"metadata": {"isNull": False}}, [1]),
    ],
    ids=str,
)
def test_an_erased_event_is_found_by_what_stays(erased: Logs, raw: object, seqs: list[int]) -> None:
    assert erased.matching(raw) == seqs
