"""Texts that the install secret authenticates or seals."""
