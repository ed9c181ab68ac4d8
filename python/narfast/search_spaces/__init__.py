"""Search spaces whose networks are generated, never downloaded: one file per space.

Every space offers `parse` (text to cell), `text` (its inverse), `networks` (cells to a batch of raw
graphs, as tracing the PyTorch modules would give), and `load`, which reads one source string.
"""
