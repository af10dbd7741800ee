"""What each operation does and for whom, asked over the wire."""
