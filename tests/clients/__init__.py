"""What strangers run."""
