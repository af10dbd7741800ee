"""How far the process grows while something goes on that may make it grow."""

import psutil


class Growth:
    """The memory of this process since this was made, or since it last was too much."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._process = psutil.Process()
        self._least: int = self._process.memory_info().rss

    def is_too_much(self) -> bool:
        """Whether it has grown by more than it may. Measured anew from then on."""
        held: int = self._process.memory_info().rss
        is_too_much = held - self._least > self._max_bytes
        self._least = held if is_too_much else min(self._least, held)
        return is_too_much
