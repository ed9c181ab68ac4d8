"""Search spaces, one file each; their networks are generated, never downloaded.

Every space offers `parse` (text to cell), `text` (its inverse), `networks` (cells to a batch of raw
graphs, equal to traces of the PyTorch modules), and `load`, which reads one source string.
"""
