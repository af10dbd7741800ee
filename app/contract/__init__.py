"""How the API is written down: JSON Schema, TypeScript, and what a change may do to either."""
