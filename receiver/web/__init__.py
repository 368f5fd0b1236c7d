"""HTTP: routes, access, answers."""
