"""The server process of a witness of other logs."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog
from litestar import Litestar
from litestar.types import ASGIApp
from msgspec import Struct

from app.access.known_logs import KnownLogs
from app.capacity.bodies import Bodies
from app.capacity.rates import Rates
from app.ledger.signer import Signer
from app.server.parent import before_stop, end_when_told, exit_with_parent
from app.server.workers import Listening, serve
from app.store.install.install import head
from app.store.ledger.cosigner import Cosigner
from app.store.postgres.database import Database
from app.store.postgres.readiness import Readiness
from app.surfaces.service import service_router
from app.surfaces.shared.edge import Edge, last_handlers
from app.surfaces.witness import WitnessDoor, witness_router
from app.telemetry.logs import configure_logs

logger = structlog.get_logger("synap.cosigner")


class WitnessOptions(Struct, frozen=True, kw_only=True):
    """What the process of a witness is started with."""

    name: str
    key_file: Path
    logs_file: Path
    database_url: str
    database_connections: int
    calls_a_minute: int
    """Of one network; 0 means no limit."""


def run_witness(listening: Listening, options: WitnessOptions, announce: Callable[[], None]) -> None:
    """Serve until interrupted. `announce` is called once it answers."""
    serve(listening, partial(load_witness, options=options), announce)


def load_witness(_target: str, options: WitnessOptions) -> ASGIApp:
    """Load what the process needs first: its logs and its application. Granian calls this."""
    end_when_told()
    configure_logs()
    app = create_witness(options)
    return Edge(app, lambda _: False, app.exception_handlers[Exception])


def create_witness(options: WitnessOptions) -> Litestar:
    """The application. It owns its connection pool from start to stop."""
    signer = Signer.load(options.key_file)
    if signer is None:
        raise FileNotFoundError(options.key_file)
    database = Database(options.database_url, max_connections=options.database_connections)
    known = KnownLogs(options.logs_file)
    door = WitnessDoor(
        cosigner=Cosigner(database, options.name, signer, known.keys_of),
        rates=Rates({"write": options.calls_a_minute}),
        bodies=Bodies(),
    )
    return Litestar(
        [witness_router(door), service_router(Readiness(database, head()))],
        lifespan=[lambda _: _running(database)],
        exception_handlers=last_handlers({}),
        openapi_config=None,
        logging_config=None,
    )


@asynccontextmanager
async def _running(database: Database) -> AsyncIterator[None]:
    """Open the pool, and close it when the server stops."""
    await database.open()
    before_stop(_nothing)
    watcher = exit_with_parent()
    try:
        yield
    finally:
        watcher.cancel()
        await database.close()


async def _nothing() -> None:
    """No client has to be told that a witness stops: every answer is short."""
