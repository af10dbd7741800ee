"""Tests that take minutes in `make soak` run for seconds here."""
