"""Processes that read networks, each of which may hang, crash or be killed."""
