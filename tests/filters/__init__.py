"""The filter language: read, written as SQL, judged in memory, and each held to the others."""
