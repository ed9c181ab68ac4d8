"""Checks for optional packages, with an error that says how to install them."""

from __future__ import annotations

import importlib.util

from narfast.errors import MissingDependencyError

__all__ = ["require"]


def require(*packages: str, by: str, extra: str = "torch") -> None:
    """Check that packages are installed, without importing them.

    Args:
        packages: packages that will be imported.
        by: the feature that needs them, as the subject of a sentence.
        extra: the extra that installs them: ``pip install 'narfast[...]'``.

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
