"""The neural networks of the encoder: message passing, motif and macro encoders, losses.

Imports torch; ``import narfast`` alone does not load this package.
"""
