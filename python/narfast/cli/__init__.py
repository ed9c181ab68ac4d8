"""The ``narfast`` command."""
