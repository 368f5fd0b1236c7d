"""Work that threads do by themselves: send, follow, decide again, forget."""
