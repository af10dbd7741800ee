"""What every writer of JSON Schema (draft 2020-12) uses."""

from collections.abc import Iterable
from typing import Any

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

NULL: Schema = {"type": "null"}

INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
"""The forms of an instant that the server accepts: somewhat more than RFC 3339, which `date-time` names."""

UUID_TEXT = r"^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$"


def choices(values: Iterable[Any]) -> Schema:
    """The schema of a value that is one of these."""
    listed = list(values)
    return {"type": "string", "enum": listed} if all(isinstance(each, str) for each in listed) else {"enum": listed}


def any_of(schemas: list[Schema]) -> Schema:
    """The schema of a value that fits one of these."""
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
