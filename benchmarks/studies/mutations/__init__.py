"""Damaged files for ``mutate.py``: ways to damage, kinds of files, processes that read them."""
