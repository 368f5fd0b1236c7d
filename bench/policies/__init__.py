"""Worlds of drifting models, and what policies cost in them."""
