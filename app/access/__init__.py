"""The caller of a request, and the rate limits that processes share."""
