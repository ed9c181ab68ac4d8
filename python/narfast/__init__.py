"""narfast: find the networks of a large zoo whose designs are most alike, and see why.

Importing this package does no work: everything heavy (torch, timm, the C++ core) is loaded when
a name is first used.
"""

from __future__ import annotations

__version__ = "0.1.0"
