"""Sources: programs that are asked which alerts fire."""
