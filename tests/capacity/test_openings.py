"""How many streams and sockets a key may have open."""

from contextlib import ExitStack

import pytest

from app.capacity.openings import Openings
from schemas.errors import RateLimited, Unavailable


def test_each_key_may_open_its_own_number() -> None:
    openings = Openings(of_a_key=2, in_all=100)
    with ExitStack() as held:
        for key in ("one", "one", "two"):
            held.enter_context(openings.opened(key))

        with pytest.raises(RateLimited) as refused, openings.opened("one"):
            pass
        held.enter_context(openings.opened("two"))

    assert refused.value.retry_after_seconds > 0
    with openings.opened("one"):
        pass


@pytest.mark.parametrize("of_a_key", [0, 2], ids=["no limit of a key", "a limit of a key"])
def test_all_keys_together_have_a_limit(of_a_key: int) -> None:
    openings = Openings(of_a_key=of_a_key, in_all=3)
    with ExitStack() as held:
        for key in ("one", "one", "two"):
            held.enter_context(openings.opened(key))

        with pytest.raises(Unavailable), openings.opened("three"):
            pass
