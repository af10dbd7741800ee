"""How much the memory of the process grows during something that may make it grow."""

import psutil


class Growth:
    """Measures the memory of this process since it was made, or since the limit was last exceeded."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._process = psutil.Process()
        self._least: int = self._process.memory_info().rss

    def is_too_much(self) -> bool:
        """Whether the memory has grown beyond the limit. If so, it is measured anew."""
        held: int = self._process.memory_info().rss
        is_too_much = held - self._least > self._max_bytes
        self._least = held if is_too_much else min(self._least, held)
        return is_too_much
