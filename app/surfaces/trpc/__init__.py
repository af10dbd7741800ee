"""The tRPC door: every procedure, by name, as `@trpc/client` speaks to it over HTTP."""
