"""What stands around the operations: health, request ids, logs, browsers, streams."""
