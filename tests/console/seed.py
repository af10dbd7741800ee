"""A log that looks like one: agents that reason, causes and effects, imports, syncs, and events of people."""

import json
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = ("note.created", "note.updated", "task.created", "task.done", "code.review.requested", "code.analysis.complete")
AGENTS = ("orchestrator", "reviewer", "extractor", "planner")
USERS = ("ann", "bob", "carla", "dev@example.org")

Event = dict[str, Any]


def events(count: int) -> Iterator[Event]:
    """So many events, always the same. Every tenth begins a tree of causes and effects."""
    chance = random.Random(7)
    tree: list[str] = []
    for number in range(count):
        own = str(uuid.UUID(int=0x0190_0000_0000_7000_8000_0000_0000_0000 + number))
        event: Event = {
            "id": own,
            "type": TYPES[number % len(TYPES)],
            "userId": USERS[chance.randrange(len(USERS))],
            "subjectId": f"entity-{number // 4}",
            "source": "api",
            "data": {
                "title": f"Number {number}",
                "number": number,
                "tags": ["a", "b"],
                "nested": {"deep": {"er": True}},
            },
        }
        if number % 3 == 0:
            event |= {"source": "intelligence", "metadata": {"ai": thought(number, chance)}}
        elif number % 10 == 1:
            event |= {"source": "migration", "metadata": {"import": IMPORT}}
        elif number % 10 == 2:
            event |= {"source": "sync", "metadata": {"sync": SYNC}}
        elif number % 10 == 4:
            event |= {"source": "automation", "metadata": {"automation": AUTOMATION, "custom": {"team": "core"}}}
        if number % 10 == 0:
            tree = []
        else:
            event["causationId"] = tree[chance.randrange(max(0, len(tree) - 3), len(tree))]
        event["correlationId"] = f"run-{number // 10}"
        tree.append(own)
        yield event


def thought(number: int, chance: random.Random) -> Event:
    """What an agent says of what it did."""
    score = round(chance.uniform(0.2, 1), 2)
    return {
        "agent": AGENTS[number % len(AGENTS)],
        "confidence": {"score": score, "reasoning": "The message names a person and a time."},
        "extraction": {
            "extractedFrom": {"messageId": f"m-{number}", "threadId": "t-1", "content": "Call John tomorrow at nine"},
            "method": "explicit",
        },
        "classification": {
            "categories": [{"name": "task", "confidence": 0.93}, {"name": "contact", "confidence": 0.41}],
            "method": "llm_analysis",
        },
        "reasoning": {
            "steps": [
                {"type": "thinking", "content": "It asks for a call, so it is a task."},
                {"type": "tool_call", "content": "calendar.find(John)"},
                {"type": "tool_result", "content": "free at nine"},
                {"type": "decision", "content": "Make a task for tomorrow at nine."},
            ],
            "outcome": {"action": "create the task", "confidence": score, "alternatives": ["ask first", "do nothing"]},
            "durationMs": 1840,
            "tokenCount": 912,
        },
    }


IMPORT = {"source": "notion", "externalId": "page-1", "importedAt": "2026-11-01T09:00:00Z", "transformed": True}
SYNC = {"deviceId": "phone-1", "platform": "ios", "syncedAt": "2026-11-02T09:00:00Z", "offline": True}
AUTOMATION = {"ruleId": "r-1", "ruleName": "Remind me", "trigger": {"type": "schedule", "schedule": "0 9 * * *"}}


def write(path: Path, count: int) -> Path:
    """The file that `synap import` reads."""
    with path.open("w") as file:
        for event in events(count):
            file.write(json.dumps(event) + "\n")
    return path
