"""Names and classes of networks: families, model names, coarse classes, splits."""
