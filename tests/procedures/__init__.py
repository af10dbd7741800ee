"""What each operation does for which caller, tested over the wire."""
