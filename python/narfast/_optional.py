"""What only some uses of narfast need, and how to say that it is missing."""

from __future__ import annotations

import importlib.util

from narfast.errors import MissingDependencyError

__all__ = ["require"]


def require(*packages: str, by: str, extra: str = "torch") -> None:
    """Check that packages are installed, without importing them.

    Args:
        packages: what will be imported.
        by: what needs them, as the subject of a sentence.
        extra: installs them, with ``pip install 'narfast[...]'``.

    Raises:
        MissingDependencyError: one of them is not installed.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise MissingDependencyError(
            f"{by} needs {' and '.join(missing)}, which {verb} not installed: "
            f"pip install 'narfast[{extra}]'"
        )
