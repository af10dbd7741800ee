"""Webhooks: which addresses may be called, the call itself, its signatures, and when it is tried again."""
