"""The doors. Each reads a request into procedures' inputs, calls them, and writes what they answer."""
