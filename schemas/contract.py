"""What the server says of itself: its procedures and its kinds of metadata, with their JSON Schemas."""

from typing import Literal

from schemas.base import Input, Output, Record
from schemas.principal import Scope

ProcedureKind = Literal["query", "mutation", "subscription"]


class ListProcedures(Input, frozen=True, kw_only=True):
    """All of them."""


class ListMetadataKinds(Input, frozen=True, kw_only=True):
    """All of them."""


class PossibleError(Output, frozen=True, kw_only=True):
    """A way in which a call may fail: its `data.code` and `data.reason`. Invalid input has finer reasons too."""

    code: str
    reason: str


class DescribedProcedure(Output, frozen=True, kw_only=True):
    """A procedure. Without a `scope` any valid key may call it.

    `input`, `output` and `marker` are JSON Schemas (draft 2020-12) that stand alone. The input may be left out where it
    requires nothing. Of a subscription `output` is each value, and `marker` what comes between them if asked for.
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
    """A kind of metadata, `metadata.<name>`. `schema` is the JSON Schema (draft 2020-12) of what is taken."""

    name: str
    built_in: bool
    description: str
    schema: Record
