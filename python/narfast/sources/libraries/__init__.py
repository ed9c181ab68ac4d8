"""Libraries whose models are loaded by name, one file or folder each."""
