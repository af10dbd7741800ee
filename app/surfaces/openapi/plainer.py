"""JSON Schemas in the words that generators of clients know."""

from typing import Any

from app.contract.schema import Schema


def plainer(node: Any) -> Any:
    """The same schemas, written with fewer keywords.

    A free object says so. A single choice is a `const`, and so is a null that stands alone. Several types become
    choices. Generators do not know `patternProperties`: an object that has them becomes open, because no client could
    send such a member otherwise.
    """
    if isinstance(node, list):
        return [plainer(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object" and not node.keys() & {"properties", "patternProperties", "additionalProperties"}:
        return {**node, "additionalProperties": True}
    if "patternProperties" in node:
        left_out = {"patternProperties", "propertyNames"}
        node = {name: each for name, each in node.items() if name not in left_out} | {"additionalProperties": True}
    choices = node.get("enum")
    if isinstance(choices, list) and len(choices) == 1:
        return {**{name: each for name, each in node.items() if name != "enum"}, "const": choices[0]}
    if isinstance(node.get("type"), list):
        return {"anyOf": [_of_one_type(node, each) for each in node["type"]]}
    return {name: _part(name, each) for name, each in node.items()}


def _part(keyword: str, value: Any) -> Any:
    if keyword == "properties":
        return {name: {"const": None} if each == {"type": "null"} else plainer(each) for name, each in value.items()}
    if keyword == "anyOf":
        members = [plainer(each) for each in value]
        return [one for each in members for one in (each["anyOf"] if each.keys() == {"anyOf"} else [each])]
    return plainer(value)


def _of_one_type(node: Schema, kind: str) -> Schema:
    """One of the types that a schema allows. Only a string keeps the limits of texts."""
    of_texts = {"minLength", "maxLength", "pattern", "format"}
    return {name: each for name, each in node.items() if kind == "string" or name not in of_texts} | {"type": kind}
