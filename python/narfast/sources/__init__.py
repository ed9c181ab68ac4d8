"""Readers of all kinds of sources: `registry` lists the kinds, `loader` reads them."""
