"""Flows: what happens, step by step, in transactions."""
