"""The pictures of the documentation are those that the code draws."""

from __future__ import annotations

import runpy

from paths import ROOT

MAKER = ROOT / "docs" / "pictures" / "make_drawings.py"


def test_pictures_are_fresh() -> None:
    for name, text in runpy.run_path(str(MAKER))["drawings"]().items():
        stored = (MAKER.parent / name).read_text(encoding="utf-8")
        assert stored == text, f"{name} is stale: run python {MAKER.relative_to(ROOT)}"
