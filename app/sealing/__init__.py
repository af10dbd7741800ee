"""What the install secret authenticates and seals."""
