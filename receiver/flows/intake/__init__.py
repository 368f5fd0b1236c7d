"""Notifications come in: what the webhook calls."""
