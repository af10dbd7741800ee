"""Who calls, and the rate limits that processes share."""
