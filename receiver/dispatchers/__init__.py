"""Dispatchers: they start and watch runs, one module per kind of target."""
