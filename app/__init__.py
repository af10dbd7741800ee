"""The server: doors, store, ledger and what starts them."""
