"""Tests. Their folders mirror the packages. PostgreSQL, the clients and the processes are always real."""
