"""How the server describes itself: its procedures and its kinds of metadata, with their JSON Schemas."""

from typing import Literal

from schemas.base import ErrorCode, Input, Output, Record
from schemas.principal import Scope

ProcedureKind = Literal["query", "mutation", "subscription"]


class ListProcedures(Input, frozen=True, kw_only=True):
    """The input of `procedures.list`. It has no members: the answer lists every procedure."""


class ListMetadataKinds(Input, frozen=True, kw_only=True):
    """The input of `metadata.kinds`. It has no members: the answer lists every kind."""


class PossibleError(Output, frozen=True, kw_only=True):
    """One way in which a call may fail: the error's `data.code` and `data.reason`. Invalid input has more reasons."""

    code: str
    reason: ErrorCode


class DescribedProcedure(Output, frozen=True, kw_only=True):
    """A procedure. If `scope` is absent, any valid key may call it.

    `input`, `output` and `marker` are self-contained JSON Schemas (draft 2020-12). A call may omit the input if the
    schema requires no member. A subscription sends values that match `output`; with `markers` in its input, it also
    sends values that match `marker`.
    """

    name: str
    kind: ProcedureKind
    scope: Scope | None = None
    summary: str
    description: str
    errors: list[PossibleError]
    input: Record
    output: Record
    marker: Record | None = None


class MetadataKind(Output, frozen=True, kw_only=True):
    """A kind of metadata, `metadata.<name>`. `schema` is the JSON Schema (draft 2020-12) of accepted values."""

    name: str
    built_in: bool
    description: str
    schema: Record
