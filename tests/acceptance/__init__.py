"""Stories that real servers, real clients and the real PostgreSQL live through."""
