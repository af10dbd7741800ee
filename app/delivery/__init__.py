"""Webhooks: which addresses may be called, the call itself, its signatures, and its retries."""
