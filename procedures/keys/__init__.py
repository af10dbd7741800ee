"""Making, listing, replacing and ending API keys."""
