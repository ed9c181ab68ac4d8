"""The file formats of zoos: networks, their names and their vectors on disk."""
