"""Instants beyond the limit are found in any spelling of their digits."""

import msgspec
import pytest

from schemas.errors import InvalidInput
from schemas.event import LogEvent
from schemas.issues import decoded

DECODER = msgspec.json.Decoder(LogEvent)


@pytest.mark.parametrize(
    "written",
    [b"9999-12-31T23:59:59-01:00", b"0001-01-01T00:00:00+00:01", rb"999\u0039-12-31T23:59:59-01:00"],
    ids=["behind it", "before it", "escaped"],
)
def test_an_instant_beyond_the_limit_is_rejected_by_name(written: bytes) -> None:
    source = b'{"type":"a.b","data":{},"occurredAt":"%b"}' % written

    with pytest.raises(InvalidInput) as refused:
        decoded(source, DECODER)

    assert [issue.path for issue in refused.value.issues] == ["occurredAt"]
