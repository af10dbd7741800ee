"""Everything that PostgreSQL stores. Only this package contains SQL."""
