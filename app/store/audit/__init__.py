"""The audit: one chain of entries for each workspace."""
