"""Webhook subscriptions, and what became of their deliveries."""
