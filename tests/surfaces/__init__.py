"""Everything around the operations: health, request ids, logs, browsers, streams."""
