"""The install: its tables and migrations, workspaces, API keys and signing keys."""
