"""The filter language: parsed, judged in memory, and written as SQL."""
