"""Creating, listing, rotating and revoking API keys."""
