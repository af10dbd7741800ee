"""Everything that PostgreSQL holds, and the only room that speaks SQL."""
