"""How networks, their names and their vectors lie on disk."""
