"""The client of Synap Events: an append-only event log that can prove that no event was altered."""

from synap_client.agents import Agent, AsyncAgent, agent
from synap_client.aio import AsyncSynap
from synap_client.client import Synap
from synap_client.errors import (
    Conflict,
    ConnectionLost,
    Forbidden,
    InvalidInput,
    Issue,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    ServerFault,
    SpoolError,
    SpoolFull,
    SynapError,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from synap_client.events import (
    BrowsedEvent,
    BrowsedPage,
    Event,
    EventPage,
    NewEvent,
    Trace,
    TracedEvent,
    Validation,
    new_id,
)
from synap_client.logs import SynapHandler, SynapProcessor
from synap_client.recorder import AsyncRecorder, Recorder
from synap_client.spool import Rejected

__all__ = [
    "Agent",
    "AsyncAgent",
    "AsyncRecorder",
    "AsyncSynap",
    "BrowsedEvent",
    "BrowsedPage",
    "Conflict",
    "ConnectionLost",
    "Event",
    "EventPage",
    "Forbidden",
    "InvalidInput",
    "Issue",
    "NewEvent",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "Recorder",
    "Rejected",
    "ServerFault",
    "SpoolError",
    "SpoolFull",
    "Synap",
    "SynapError",
    "SynapHandler",
    "SynapProcessor",
    "Trace",
    "TracedEvent",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Validation",
    "agent",
    "new_id",
]
