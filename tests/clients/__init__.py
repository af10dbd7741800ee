"""Tests of the clients and of the independent verifier."""
