"""The doors of the shared servers, one without and one with superjson."""

import pytest

from tests.properties.door import Door


@pytest.fixture(scope="module", params=["none", "superjson"])
def door(request: pytest.FixtureRequest) -> Door:
    """A door."""
    superjson = request.param == "superjson"
    return Door(request.getfixturevalue("superjson_server" if superjson else "server"), superjson=superjson)


@pytest.fixture(scope="module")
def superjson_door(request: pytest.FixtureRequest) -> Door:
    """The door that speaks superjson."""
    return Door(request.getfixturevalue("superjson_server"), superjson=True)
