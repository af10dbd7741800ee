"""Stories with real servers, real clients and a real PostgreSQL."""
