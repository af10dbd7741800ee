"""Programs that use independent libraries, in an environment of their own."""
