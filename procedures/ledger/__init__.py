"""The ledger: signed events, checkpoints and proofs that anyone can verify."""
