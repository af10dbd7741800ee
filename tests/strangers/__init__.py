"""Programs that run with other people's libraries, in an environment of their own."""
