"""Structures of a zoo whose names belong to several families: what the vocabulary should mend.

    python benchmarks/studies/family_exceptions.py [ZOO]     # the shipped one by default

Families are those of the vocabulary as it stands, where the zoo knows the library's own groups.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict

from narfast.storage.records import NetworkRecord
from narfast.taxonomy.families import classify
from narfast.zoo import Zoo


def family_of(record: NetworkRecord) -> str | None:
    """The family by the vocabulary, or as the zoo has it where it knows no group."""
    if record.group is None:
        return record.family
    return classify(record.source, record.group, record.name).family


def main() -> None:
    """Print the exceptions, and families by source."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("zoo", nargs="?", default="default")
    shared, split = 0, []
    sources: dict[str, set[str]] = defaultdict(set)
    for entry in Zoo.open(parser.parse_args().zoo):
        found: dict[str, list[str]] = defaultdict(list)
        for record in entry.records:
            family = family_of(record)
            if family is not None:
                found[family].append(record.id)
                sources[family].add(record.source)
        shared += len(entry.records) > 1
        if len(found) > 1:
            split.append(found)
    print(f"{len(split)} of {shared} structures with several names have several families")
    for found in split:
        print("  " + "; ".join(f"{family}: {', '.join(ids[:4])}" for family, ids in found.items()))
    counts = Counter(source for of_family in sources.values() for source in of_family)
    several = sum(len(of_family) > 1 for of_family in sources.values())
    print(f"{len(sources)} families, {several} of them in several libraries: {dict(counts)}")


if __name__ == "__main__":
    main()
