"""What networks are called and how they are sorted: families, names of models, classes, splits."""
