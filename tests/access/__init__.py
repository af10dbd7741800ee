"""Tests of how much a caller may have under way."""
