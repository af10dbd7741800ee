"""One line of `synap doctor`."""

from msgspec import Struct

MAX_NAMED = 10
"""A finding names at most this many things of one kind."""


class Finding(Struct, frozen=True):
    """One thing that was checked, and whether it is right, in one sentence."""

    is_right: bool
    sentence: str
    is_hint: bool = False
    """It is right, but could be better."""

    def __str__(self) -> str:
        """The line for the operator."""
        return f"{'hint' if self.is_hint else 'ok' if self.is_right else 'wrong'}: {self.sentence}"


def wrong(sentence: str) -> Finding:
    """A finding of something that is wrong."""
    return Finding(is_right=False, sentence=sentence)
