"""The pure part of the ledger: canonical bytes, the chain, keys and signatures."""
