"""Some hundreds of random events, queries for them, and a naive search."""

import random
from datetime import datetime, timedelta
from typing import Any

import psycopg
from hypothesis import strategies as st

from tests.store.opened import Store, draft

SEGMENTS = ["a", "b", "ab", "A", "a-b", "a_1", "0"]
USERS = ["u1", "u2"]
SOURCES = ["api", "sync", "intelligence"]
IDS = ["x", "X", "x'y", "%"]
WORKSPACES = ["default", "other"]

ROWS = """
SELECT seq, id::text, type, source, coalesce(producer, source), metadata IS NOT NULL, user_id,
    subject_id, correlation_id, causation_id, recorded_at
FROM event WHERE workspace_id = %s ORDER BY seq DESC
"""

NAMES = [
    "seq",
    "id",
    "type",
    "source",
    "producer",
    "hasMetadata",
    "userId",
    "subjectId",
    "correlationId",
    "causationId",
    "at",
]


class Corpus:
    """A store with random events in two workspaces, and the same events as plain records, newest first."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.events: dict[str, list[dict[str, Any]]] = {}

    def fill(self) -> None:
        """Append the events."""
        random_ = random.Random(20241209)

        def maybe(values: list[Any]) -> Any:
            return random_.choice([None, *values])

        for _ in range(120):
            self.store.clock.at += timedelta(microseconds=random_.choice([0, 1, 3, 10**6, -5]))
            drafts = [
                draft(
                    ".".join(random_.choices(SEGMENTS, k=random_.choice([2, 2, 3, 4]))),
                    user_id=random_.choice(USERS),
                    source=maybe(SOURCES),
                    producer=maybe(["github", "api"]),
                    subject_id=maybe(IDS),
                    correlation_id=maybe(IDS),
                    causation_id=maybe(IDS),
                    metadata=maybe([{"custom": {}}]),
                )
                for _ in range(random_.randrange(1, 6))
            ]
            self.store.append(*drafts, workspace=random_.choice(WORKSPACES))
        with psycopg.connect(self.store.url) as connection:
            for workspace in WORKSPACES:
                rows = connection.execute(ROWS, [workspace]).fetchall()
                self.events[workspace] = [dict(zip(NAMES, row, strict=True)) for row in rows]

    def matching(self, workspace: str, query: dict[str, Any], only_user: str | None = None) -> list[dict[str, Any]]:
        """The events that match a query, newest first, found by the same filters in Python."""
        return [
            event
            for event in self.events[workspace]
            if all(
                query.get(name) in {None, event[name]}
                for name in ("source", "producer", "hasMetadata", "userId", "subjectId", "correlationId", "causationId")
            )
            and only_user in {None, event["userId"]}
            and ("type" not in query or matches(query["type"], event["type"]))
            and ("from" not in query or event["at"] >= datetime.fromisoformat(query["from"]))
            and ("to" not in query or event["at"] < datetime.fromisoformat(query["to"]))
        ]


def matches(pattern: str, type_: str) -> bool:
    """Whether a type matches a pattern: `*` is one whole segment, or one or more at the end, or, alone, any type."""
    wanted, segments = pattern.split("."), type_.split(".")
    if wanted[-1] == "*":
        wanted = wanted[:-1] + ["*"] * max(len(segments) - len(wanted) + 1, 1)
    return len(wanted) == len(segments) and all(
        want in {"*", segment} for want, segment in zip(wanted, segments, strict=True)
    )


PATTERNS = st.one_of(
    st.just("*"),
    st.lists(st.sampled_from([*SEGMENTS, "*", "*", "nosuch"]), min_size=1, max_size=5).map(".".join),
)


@st.composite
def queries(draw: st.DrawFn, corpus: Corpus, workspace: str) -> dict[str, Any]:
    """Any combination of filters, with times at, just before and just after events."""
    instants = st.tuples(st.sampled_from(corpus.events[workspace]), st.integers(-1, 1)).map(
        lambda chosen: (chosen[0]["at"] + timedelta(microseconds=chosen[1])).isoformat()
    )
    every = {
        "type": PATTERNS,
        "source": st.sampled_from([*SOURCES, "system"]),
        "producer": st.sampled_from(["github", "api", "sync", "nosuch"]),
        "hasMetadata": st.booleans(),
        "userId": st.sampled_from([*USERS, "u3"]),
        "subjectId": st.sampled_from(IDS),
        "correlationId": st.sampled_from(IDS),
        "causationId": st.sampled_from(IDS),
        "from": instants,
        "to": instants,
    }
    chosen = draw(st.lists(st.sampled_from(list(every)), max_size=3, unique=True))
    return {name: draw(every[name]) for name in chosen}
