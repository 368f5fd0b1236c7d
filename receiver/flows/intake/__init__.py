"""Intake: what the webhook calls to decide notifications."""
