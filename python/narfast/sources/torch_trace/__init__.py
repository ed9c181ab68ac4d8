"""Reads the graph of a `torch.nn.Module` without allocating weights."""
