"""Two networks side by side: facts, aligned blocks, and the difference in sentences."""

from narfast.comparison.comparison import Comparison, compare, compare_graphs

__all__ = ["Comparison", "compare", "compare_graphs"]
