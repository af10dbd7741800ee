"""Load tests that compare Synap Events with simpler servers. Run them with `python -m benchmarks`."""
