"""The failures of benchmarks, by what the caller can do about them."""

from typing import ClassVar


class BenchmarkError(Exception):
    """A run that must not be reported as a result. The message is one sentence for a person."""

    exit_code: ClassVar[int] = 1


class Missing(BenchmarkError):
    """A program or an installation is missing on this machine, so nothing was measured."""

    exit_code: ClassVar[int] = 2
