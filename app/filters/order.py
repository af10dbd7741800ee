"""Orders, read from JSON."""

from typing import get_args

from app.filters.fields import Fields, is_orderable
from app.filters.language import MAX_ORDER
from app.filters.values import read_text
from schemas.errors import InvalidInput, Issue
from schemas.filter import Direction, OrderTerm
from schemas.jsontext import join

SAME = {"parentId": "causationId", "createdAt": "timestamp"}
"""The other names of fields, each with the field's own name."""


def parse_order(raw: object, path: str, fields: Fields) -> list[OrderTerm]:
    """An order from decoded JSON: `[{field: direction}, ...]`, at most 8, by columns and typed members of metadata.

    Raises InvalidInput with every invalid place.
    """
    if not isinstance(raw, list) or len(raw) > MAX_ORDER:
        raise InvalidInput([Issue(path, f"must be an array of at most {MAX_ORDER} objects: [{{field: direction}}]")])
    terms: list[OrderTerm] = []
    issues: list[Issue] = []
    seen: set[tuple[str, ...]] = set()
    for place, item in enumerate(raw):
        where = join(path, place)
        if not isinstance(item, dict) or len(item) != 1:
            issues.append(Issue(where, "must be an object of one field and its direction"))
            continue
        [(name, direction)] = item.items()
        try:
            term = _order_term(name, direction, fields)
        except ValueError as error:
            issues.append(Issue(join(where, name), str(error)))
            continue
        key = (SAME.get(term.field.name, term.field.name), *term.field.path)
        if key in seen:
            issues.append(Issue(join(where, name), "is already in the order"))
        seen.add(key)
        terms.append(term)
    if issues:
        raise InvalidInput(issues)
    return terms


def _order_term(name: str, direction: object, fields: Fields) -> OrderTerm:
    field = fields.find(read_text(name))
    if not is_orderable(field):
        raise ValueError("cannot order events; use a field of the event or a typed value of metadata")
    if direction not in get_args(Direction):
        raise ValueError(f"must be one of: {', '.join(get_args(Direction))}")
    descending = str(direction).startswith("desc")
    nulls_first = str(direction).endswith("nulls_first") or direction == "desc"
    return OrderTerm(field, descending, nulls_first)
