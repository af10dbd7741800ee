"""The publish door, at `/v1`."""
