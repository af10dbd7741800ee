"""The install: tables, migrations, workspaces, API keys and signing keys."""
