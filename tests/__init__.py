"""Tests. They mirror the packages; PostgreSQL, the clients and the processes in them are always real."""
