"""Background threads: send, reconcile, follow, decide again, announce, forget."""
