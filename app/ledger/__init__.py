"""The pure part of the log: canonical bytes, hashes, links and signatures (`evlog/1`). No database, no door."""
