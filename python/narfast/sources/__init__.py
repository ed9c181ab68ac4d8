"""Everything that becomes a graph: `registry` lists the kinds of sources, `loader` reads them."""
