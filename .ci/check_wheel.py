"""Try a built wheel as a user gets it: what is in it, and a search with nothing else installed.

    python .ci/check_wheel.py dist/narfast-*.whl

The wheel is installed with its base dependencies into a fresh environment, and used from a folder
where neither the checkout nor PyTorch can be imported.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "gated_resnet.onnx"
ZOO_ID = "timm:resnet50"
ABSENT = ("torch", "numba", "timm")  # what a search must not need


def check_contents(wheel: Path) -> None:
    """Require exactly the tracked files of the package, and the extension."""
    listed = subprocess.check_output(["git", "ls-files", "python/narfast"], cwd=ROOT, text=True)
    expected = {name.removeprefix("python/") for name in listed.splitlines()}
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    names = {n for n in names if not n.endswith("/") and ".dist-info/" not in n}
    extension = {n for n in names if n.startswith("narfast/_core.") and n.endswith(".so")}
    missing, foreign = sorted(expected - names), sorted(names - expected - extension)
    if missing or foreign or len(extension) != 1:
        sys.exit(f"{wheel.name}: missing {missing}, foreign {foreign}, extensions {extension}")
    unpacked = sum(info.file_size for info in zipfile.ZipFile(wheel).infolist())
    print(
        f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {unpacked / 1e6:.1f} MB unpacked, "
        f"{len(names)} files"
    )


def check_use(wheel: Path, folder: Path) -> None:
    """Install the wheel into a fresh environment, and search with it."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"

    def run(program: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [programs / program, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"{program} {' '.join(map(str, arguments))}: exit code {done.returncode}")
        return done.stdout

    run("pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel.resolve())
    found = run(
        "python",
        "-Ic",
        "import importlib.util as u, json, narfast;"
        f"print(json.dumps([narfast.__file__, [n for n in {ABSENT} if u.find_spec(n)]]))",
    )
    imported, present = json.loads(found)
    if not imported.startswith(str(folder)) or present:
        sys.exit(f"this is no base install: narfast is {imported}, and {present} can be imported")

    version = run("narfast", "--version").strip()
    if version != f"narfast {wheel.name.split('-')[1]}":
        sys.exit(f"{wheel.name} says that it is {version!r}")
    shutil.copy(FILE, folder)
    for query in (FILE.name, ZOO_ID):
        hits = json.loads(run("narfast", "search", query, "-k", "3", "--json"))
        print(f"{query}:", *(f"{hit['id']} ({hit['relation']})" for hit in hits))
        if len(hits) != 3:
            sys.exit(f"{query}: {len(hits)} hits instead of 3")
    if hits[0]["id"] != ZOO_ID:
        sys.exit(f"{ZOO_ID} finds {hits[0]['id']} before itself")


def main() -> None:
    """Check the one wheel that the command line names."""
    wheel = Path(sys.argv[1])
    check_contents(wheel)
    with tempfile.TemporaryDirectory(prefix="narfast-wheel-") as folder:
        check_use(wheel, Path(folder).resolve())


if __name__ == "__main__":
    main()
