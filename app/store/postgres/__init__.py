"""The way to PostgreSQL, and the embedded one."""
