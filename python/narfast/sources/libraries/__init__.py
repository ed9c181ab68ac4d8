"""Model libraries, one file or folder each; models are loaded by name."""
