"""The ledger door, at `/ledger/v1`."""
