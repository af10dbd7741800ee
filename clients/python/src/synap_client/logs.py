"""Log records as events: a handler for `logging`, and a processor for structlog.

A record of the logger `app.orders` is an event `log.app.orders` with the data `{level, message, logger, extra,
exception, at}`. Both pass their events to a `Recorder`. They wait neither for the server nor for room, and raise
nothing. Events without room are counted, and the count is logged as `log.dropped` when there is room again. Records of
the client's own work (its thread, its HTTP library) are ignored, because logging them would never end.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from synap_client.errors import SynapError
from synap_client.events import NewEvent, Source, new_id, written
from synap_client.quiet import is_ours
from synap_client.recorder import Recorder

MAX_TYPE = 128
MAX_TEXT = 64 * 1024
MAX_BYTES = 512 * 1024
MAX_DEPTH = 16
MAX_ITEMS = 1000
MAX_INTEGER = 2**53 - 1

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class _RecordWriter:
    """Passes records to a recorder, and counts those that it does not accept."""

    def __init__(self, recorder: Recorder, prefix: str, source: Source | None, producer: str | None) -> None:
        self.dropped = 0
        """Records that were not accepted, and not yet logged as `log.dropped`."""
        self._recorder = recorder
        self._prefix = prefix
        self._source: Source | None = source
        self._producer = producer

    def write(self, logger: str, data: dict[str, Any], at: datetime) -> None:
        """Log a record. Raises nothing."""
        try:
            if self.dropped:
                self._tell_of_dropped(at)
            self._put(event_type(logger, self._prefix), _bounded(data), at)
        except Exception:  # noqa: BLE001 - whatever it is, it is not the application's failure
            self.dropped += 1

    def _tell_of_dropped(self, at: datetime) -> None:
        count, self.dropped = self.dropped, 0
        try:
            self._put(f"{self._prefix}.dropped", {"count": count}, at)
        except SynapError:
            self.dropped += count
            raise

    def _put(self, type: str, data: dict[str, Any], at: datetime) -> None:
        event = NewEvent(type, data, id=new_id(), source=self._source, producer=self._producer, occurred_at=at)
        self._recorder.put(written(self._recorder.client.signed(event)), 0)


class SynapHandler(logging.Handler):
    """A handler for `logging`. `prefix` is the beginning of the types, one or more segments.

    If the speed of the disk matters to the code that logs, give the recorder `fsync="second"`.
    """

    def __init__(
        self,
        recorder: Recorder,
        level: int | str = logging.NOTSET,
        *,
        prefix: str = "log",
        source: Source | None = None,
        producer: str | None = None,
    ) -> None:
        """The caller must close the recorder."""
        super().__init__(level)
        self._writer = _RecordWriter(recorder, prefix, source, producer)

    @property
    def dropped(self) -> int:
        """Records that were not accepted, and not yet logged as `log.dropped`."""
        return self._writer.dropped

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record. Raises nothing."""
        if is_ours() or _is_client(record.name):
            return
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the format
            message = f"{_shown(record.msg)} (its arguments do not fit)"
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        data: dict[str, Any] = {
            "level": record.levelname.lower(),
            "message": message,
            "logger": record.name,
            "at": f"{record.pathname}:{record.lineno}",
        }
        if extra:
            data["extra"] = extra
        if record.exc_info:
            data["exception"] = _exception(record.exc_info)
        if record.stack_info:
            data["stack"] = record.stack_info
        self._writer.write(record.name, data, datetime.fromtimestamp(record.created, UTC))

    def flush(self) -> None:
        """Do nothing, because a handler must not wait here. `Recorder.flush` waits."""


class SynapProcessor:
    """A processor for structlog. It logs each event and passes it on unchanged. Put it before the renderer.

    The type comes from the member `logger` (`structlog.stdlib.add_logger_name`), or else from the logger's `name`.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        prefix: str = "log",
        source: Source | None = None,
        producer: str | None = None,
    ) -> None:
        """The caller must close the recorder."""
        self._writer = _RecordWriter(recorder, prefix, source, producer)

    @property
    def dropped(self) -> int:
        """Records that were not accepted, and not yet logged as `log.dropped`."""
        return self._writer.dropped

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Log the event. Raises nothing."""
        try:
            name = str(event.get("logger") or getattr(logger, "name", None) or "root")
            if not is_ours() and not _is_client(name):
                self._writer.write(name, self._data(name, method, event), datetime.now(UTC))
        except Exception:  # noqa: BLE001 - as above
            self._writer.dropped += 1
        return event

    @staticmethod
    def _data(name: str, method: str, event: Mapping[str, Any]) -> dict[str, Any]:
        known = {"event", "level", "logger", "exc_info", "exception"}
        data: dict[str, Any] = {
            "level": str(event.get("level") or ("error" if method == "exception" else method)),
            "message": event.get("event", ""),
            "logger": name,
        }
        extra = {key: value for key, value in event.items() if key not in known and not key.startswith("_")}
        if extra:
            data["extra"] = extra
        if "exception" in event:
            data["exception"] = event["exception"]
        elif exc_info := event.get("exc_info"):
            data["exception"] = _exception(exc_info)
        return data


def event_type(name: str, prefix: str = "log") -> str:
    """The event type for a logger's name: `app.orders` is `log.app.orders`, the root logger `log.root`.

    Characters that a type cannot have become `_`, and a name that is too long is cut.
    """
    segments = [re.sub(r"[^A-Za-z0-9_-]", "_", segment) for segment in name.split(".") if segment]
    return ".".join([prefix, *(segments or ["root"])])[:MAX_TYPE].rstrip(".")


def jsonable(value: object, depth: int = 0) -> Any:  # noqa: PLR0911 - a table
    """`value` as JSON that a server accepts. Values that JSON does not have become text; long ones are cut."""
    match value:
        case None | bool():
            return value
        case int():
            return int(value) if abs(value) <= MAX_INTEGER else str(value)
        case float():
            # Not finite, or an integer that JavaScript cannot hold.
            return float(value) if abs(value) <= MAX_INTEGER else str(value)
        case str():
            return _cut(value)
        case Mapping() if depth < MAX_DEPTH:
            items = list(value.items())[:MAX_ITEMS]
            return {_shown(name): jsonable(item, depth + 1) for name, item in items}
        case list() | tuple() | set() | frozenset() if depth < MAX_DEPTH:
            return [jsonable(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
        case BaseException():
            return _exception(value)
        case _:
            return _shown(value)


def _bounded(data: dict[str, Any]) -> dict[str, Any]:
    """A record's data, small enough for an event."""
    made: dict[str, Any] = jsonable(data)
    size = len(written(made))
    if size > MAX_BYTES:
        made = {name: item if name != "extra" else {"omittedBytes": size} for name, item in made.items()}
    return made


def _exception(exc_info: object) -> dict[str, str] | None:
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    if error is None:
        return None
    return {
        "type": type(error).__qualname__,
        "message": _shown(error),
        "traceback": _cut("".join(traceback.format_exception(error))),
    }


def _shown(value: object) -> str:
    try:
        return _cut(str(value))
    except Exception:  # noqa: BLE001 - somebody's own `__str__`
        return f"<{type(value).__name__} that cannot be shown>"


def _cut(text: str) -> str:
    # Only Python accepts a lone surrogate as text.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def _is_client(name: str) -> bool:
    return name == "synap_client" or name.startswith("synap_client.")
