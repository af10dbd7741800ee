"""A server whose database the tests can reach, to create keys and workspaces."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import Struct

from app.store.install.install import connect
from app.store.install.keys import insert_key, new_token, revoke_key
from app.store.install.workspaces import create_workspace
from tests.kit.servers import Server, cloned, serving

_numbers = itertools.count()


class Keyed(Struct, frozen=True):
    """A running server and its database."""

    server: Server
    database_url: str

    def key(
        self,
        *scopes: str,
        user: str = "u1",
        workspaces: tuple[str, ...] = ("default",),
        seconds: float | None = None,
    ) -> tuple[str, Server]:
        """Create a key that expires in `seconds`. Returns its id, and the server as called with it."""
        key_id = f"key{next(_numbers)}"
        token = new_token(key_id)
        expires_at = None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
        with connect(self.database_url) as connection:
            insert_key(
                connection, key_id, token, user_id=user, scopes=scopes, workspaces=workspaces, expires_at=expires_at
            )
        return key_id, msgspec.structs.replace(self.server, token=token)

    def revoke(self, key_id: str) -> None:
        """Revoke a key."""
        with connect(self.database_url) as connection:
            assert revoke_key(connection, key_id)

    def expire(self, key_id: str) -> None:
        """Let a key expire now."""
        with connect(self.database_url) as connection:
            connection.execute("UPDATE api_key SET expires_at = now() WHERE id = %s", (key_id,))

    def workspace(self) -> str:
        """Create a workspace, and return its slug."""
        slug = f"w{next(_numbers)}"
        with connect(self.database_url) as connection:
            assert create_workspace(connection, slug)
        return slug


@pytest.fixture(scope="package")
def keyed(postgres_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """One server for all tests of this package, which only add to its log."""
    with (
        cloned(postgres_url, template, "test_procedures") as url,
        serving(tmp_path_factory.mktemp("procedures"), database_url=url) as server,
    ):
        yield Keyed(server, url)


def answered(response: httpx.Response) -> Any:
    """The output of a call that succeeded."""
    assert response.status_code == 200, response.text
    return response.json()["result"]["data"]


def failed(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error's `data` of a call that failed with this status."""
    assert response.status_code == status, response.text
    data: dict[str, Any] = response.json()["error"]["data"]
    assert data["httpStatus"] == status
    return data
