"""Patterns of event types, as regular expressions that Python and PostgreSQL read alike."""

import re
from collections.abc import Iterable


def type_pattern(pattern: str) -> re.Pattern[str]:
    """A type pattern as a regular expression for a whole type.

    `*` matches one segment, or one or more if it is the last of several. The pattern `*` matches every type.
    """
    segments = [r"[^.]+" if segment == "*" else re.escape(segment) for segment in pattern.split(".")]
    if pattern.endswith("*"):
        segments[-1] = ".+"
    return re.compile(r"\.".join(segments))


def type_patterns(patterns: Iterable[str]) -> str:
    """Several type patterns as one regular expression for a whole type."""
    return f"^({'|'.join(type_pattern(pattern).pattern for pattern in patterns)})$"
