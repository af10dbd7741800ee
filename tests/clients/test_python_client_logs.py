"""Log records as events: how they are converted, and that logging never harms the application."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from synap_client import Event, Recorder, Synap, SynapHandler, SynapProcessor, new_id
from synap_client.logs import event_type, jsonable

from benchmarks.process import free_port
from schemas.event import LogEvent
from schemas.issues import decoded


@pytest.fixture
def recorder(client: Synap) -> Iterator[Recorder]:
    """A recorder of the shared server."""
    with client.recorder(batch_seconds=0.05) as made:
        yield made


@pytest.fixture
def name() -> str:
    """The name of a logger that only this test uses."""
    return f"shop.orders-{new_id()}"


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    logger.propagate = False
    return logger


def _events(client: Synap, recorder: Recorder, name: str) -> list[Event]:
    assert recorder.flush(20)
    return client.list(type=f"log.{name}")[::-1]


def _fail() -> None:
    raise ValueError("no paper")


def test_a_record_becomes_an_event(client: Synap, recorder: Recorder, name: str) -> None:
    logger = _logger(name, SynapHandler(recorder, source="system", producer="shop"))

    logger.warning("order %s waits", 7, extra={"order": 7, "when": {"day": (1, 2)}})
    try:
        _fail()
    except ValueError:
        logger.exception("could not print")

    warned, failed = _events(client, recorder, name)
    assert (warned.type, warned.source, warned.producer) == (f"log.{name}", "system", "shop")
    assert warned.data.pop("at").endswith(f":{_fail.__code__.co_firstlineno + 7}")
    assert warned.data == {
        "level": "warning",
        "message": "order 7 waits",
        "logger": name,
        "extra": {"order": 7, "when": {"day": [1, 2]}},
    }
    assert (failed.data["level"], failed.data["message"]) == ("error", "could not print")
    assert (failed.data["exception"]["type"], failed.data["exception"]["message"]) == ("ValueError", "no paper")
    assert "in _fail" in failed.data["exception"]["traceback"]
    assert warned.occurred_at is not None
    assert failed.occurred_at is not None
    assert warned.occurred_at < failed.occurred_at


class _Hostile:
    def __str__(self) -> str:
        raise RuntimeError("not today")

    __repr__ = __str__


class _Endless(dict[str, Any]):
    def __init__(self) -> None:
        super().__init__()
        self["me"] = self


@pytest.mark.parametrize(
    "value",
    [
        _Hostile(),
        _Endless(),
        2**80,
        float("nan"),
        1e300,
        "\ud800\0",
        {1: {2: b"x"}},
        {"a"},
        "x" * 10**6,
        [["x" * 10**4] * 500],
    ],
    ids=["hostile", "endless", "big", "nan", "huge", "surrogate", "keys", "set", "long", "large"],
)
def test_whatever_is_logged_arrives(client: Synap, recorder: Recorder, name: str, value: object) -> None:
    _logger(name, SynapHandler(recorder)).info("see", extra={"value": value})

    [event] = _events(client, recorder, name)
    assert event.data["message"] == "see"
    assert event.data["extra"]


def test_arguments_that_do_not_fit_are_reported(client: Synap, recorder: Recorder, name: str) -> None:
    _logger(name, SynapHandler(recorder)).info("%d and %d", "x")

    [event] = _events(client, recorder, name)
    assert event.data["message"] == "%d and %d (its arguments do not fit)"


def test_what_cannot_be_shown_is_logged_all_the_same(client: Synap, recorder: Recorder, name: str) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    handler = SynapHandler(recorder)
    _logger(name, handler).info(Mute())
    _logger(name, handler).error("failed", exc_info=Mute())

    [message, failed] = _events(client, recorder, name)
    assert "Mute that cannot be shown" in message.data["message"]
    assert failed.data["exception"]["message"] == "<Mute that cannot be shown>"
    assert handler.dropped == 0


@given(st.text(max_size=200))
def test_every_logger_name_makes_a_type(name: str) -> None:
    sent = b'{"type":"%b","data":{}}' % event_type(name).encode()

    assert decoded(sent, _log_event).type == event_type(name)


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("app.orders", "log.app.orders"),
        ("root", "log.root"),
        ("", "log.root"),
        ("..a b.ü.", "log.a_b._"),
        ("synap.x", "log.synap.x"),
    ],
)
def test_types_are_names_made_to_fit(name: str, type_: str) -> None:
    assert event_type(name) == type_


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_json_can_hold_is_shown_as_it_is(value: object) -> None:
    shown = jsonable({"value": value})

    assert jsonable(shown) == shown


def test_records_of_the_clients_own_work_are_not_logged(client: Synap, recorder: Recorder) -> None:
    """With every logger at DEBUG, sending events would otherwise log new events without end."""
    handler = SynapHandler(recorder)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        first = client.page(type="log.*").total
        logging.getLogger("quiet.test").info("one")
        assert recorder.flush(20)
        time.sleep(0.5)
        assert recorder.pending == 0
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    messages = [event for event in client.list(type="log.*", limit=100) if event.data.get("logger") != "quiet.test"]

    # The HTTP library's records about the test's own call are the application's. Nothing else was logged.
    by_recorder = [event for event in messages if "logBatch" in str(event.data)]
    assert by_recorder == []
    assert client.page(type="log.quiet.test").total == 1
    assert client.page(type="log.*").total - first < 50


def test_logging_neither_waits_nor_raises_while_there_is_no_room(name: str) -> None:
    with Synap(f"http://127.0.0.1:{free_port()}", "sk_x") as away:
        recorder = away.recorder(max_bytes=2000, full_wait_seconds=60.0, exit_seconds=0.1)
        handler = SynapHandler(recorder)
        logger = _logger(name, handler)
        started = time.monotonic()
        for n in range(100):
            logger.info("one %d", n)
        assert time.monotonic() - started < 30

        assert handler.dropped == 100 - recorder.pending > 0
        recorder.close()
        logger.info("after the end")
        assert handler.dropped == 101 - recorder.pending


def test_dropped_events_are_reported_when_there_is_room(client: Synap, name: str) -> None:
    recorder = client.recorder(max_bytes=1500, batch_seconds=60.0)
    handler = SynapHandler(recorder, prefix=f"log.{name}")
    logger = _logger("told", handler)
    for n in range(20):
        logger.info("one %d", n)
    dropped = handler.dropped
    assert dropped > 0
    assert recorder.flush(20)

    logger.info("room again")

    assert handler.dropped == 0
    assert recorder.close()
    [told] = client.list(type=f"log.{name}.dropped")
    assert told.data == {"count": dropped}
    assert client.page(type=f"log.{name}.told").total == 21 - dropped


@pytest.mark.parametrize("bound", [True, False], ids=["named by its name", "named by a processor"])
def test_structlog_entries_become_events_and_go_on(client: Synap, recorder: Recorder, name: str, bound: bool) -> None:  # noqa: FBT001
    seen: list[dict[str, Any]] = []

    def last(_logger: object, _method: str, event: Any) -> str:
        seen.append(dict(event))
        return ""

    naming: list[Callable[..., Any]] = [structlog.stdlib.add_logger_name] if bound else []
    logger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[*naming, structlog.processors.add_log_level, SynapProcessor(recorder), last],
    )
    logger.info("order waits", order=7, what=_Hostile())
    try:
        _fail()
    except ValueError:
        logger.exception("could not print")

    waits, failed = _events(client, recorder, name)
    assert (waits.data["level"], waits.data["message"], waits.data["extra"]["order"]) == ("info", "order waits", 7)
    assert (failed.data["level"], failed.data["exception"]["message"]) == ("error", "no paper")
    assert [entry["event"] for entry in seen] == ["order waits", "could not print"]


_log_event = msgspec.json.Decoder(LogEvent)
