"""Pre-training of the encoder; needs torch and Numba."""
