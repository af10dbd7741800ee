"""The ledger: what proves the record to strangers."""
