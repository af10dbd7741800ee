"""Whether the database can serve."""

from app.store.database import Database
from schemas.errors import Unavailable

VERSION = "SELECT version_num FROM alembic_version"
EXISTS = "SELECT to_regclass('alembic_version') IS NOT NULL"


class Readiness:
    """Compares the database's schema with the one that this code was written for."""

    def __init__(self, database: Database, revision: str) -> None:
        self._database = database
        self._revision = revision

    async def problem(self) -> str | None:
        """One sentence about what is missing, or None."""
        try:
            if not (await self._database.rows(EXISTS, {}))[0][0]:
                return "The database is not migrated"
            rows = await self._database.rows(VERSION, {})
        except Unavailable as error:
            return error.message
        return None if rows and rows[0][0] == self._revision else "The database has another version of the schema"
