"""The ledger: trees, checkpoints, exports and signing keys."""
