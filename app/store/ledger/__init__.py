"""The ledger: Merkle trees, checkpoints, exports and the history of signing keys."""
