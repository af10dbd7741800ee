"""Load tests: Synap Events beside a server that one would write in an afternoon. Run as `python -m benchmarks`."""
