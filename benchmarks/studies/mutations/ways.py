"""Ways to damage files, as a hostile or unlucky author would; all take bytes and a generator.

Nothing here knows narfast: what is damaged, sealed again and read stands in ``mutate.py``.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

EXTREMES = (0, 1, 2, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, -1)
"""Sizes and counts that readers get wrong."""

DEPTH = 100_000  # of nested JSON


# ---- bytes of any kind


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64)) if data else 0):
        result[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(result)


def overwrite(data: bytes, chance: random.Random) -> bytes:
    """Other bytes at one place: noise, zeros or ones."""
    begin = chance.randrange(len(data) + 1)
    length = chance.choice((1, 4, 16, 256, 4096))
    filling = chance.choice((chance.randbytes(length), b"\0" * length, b"\xff" * length))
    return data[:begin] + filling + data[begin + length :]


def truncate(data: bytes, chance: random.Random) -> bytes:
    cut = chance.randrange(len(data) + 1)
    return chance.choice((data[:cut], data[cut:], data[: max(0, len(data) - 1 - cut % 16)]))


def splice(data: bytes, chance: random.Random) -> bytes:
    """A piece taken out, doubled, or put elsewhere."""
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    end = min(end, begin + 65536)
    piece, place = data[begin:end], chance.randrange(len(data) + 1)
    return chance.choice(
        (
            data[:begin] + data[end:],
            data[:end] + piece * chance.choice((1, 1, 1, 20)) + data[end:],
            data[:place] + piece + data[place:],
            data[:place] + piece + data[place + len(piece) :],
        )
    )


def edit_size(data: bytes, chance: random.Random) -> bytes:
    """A number of one, two, four or eight bytes that could be a size or a count."""
    width = chance.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    begin = chance.randrange(len(data) - width + 1)
    order: Any = chance.choice(("little", "little", "big"))
    old = int.from_bytes(data[begin : begin + width], order)
    new = chance.choice((*EXTREMES, old + 1, old - 1, old * 2, len(data), len(data) + 1))
    return data[:begin] + (new % (1 << 8 * width)).to_bytes(width, order) + data[begin + width :]


BYTES: tuple[Mutation, ...] = (flip_bits, overwrite, truncate, splice, edit_size)


# ---- JSON


def junk(chance: random.Random) -> Any:
    """A value that does not belong where it is put."""
    return chance.choice(
        (
            None,
            True,
            "",
            "x" * chance.choice((1, 300, 100_000)),
            "\ud800",
            "../../etc/passwd",
            -1,
            0,
            1e308,
            float("nan"),
            float("inf"),
            2**31,
            2**63,
            10**18,
            10**300,
            [],
            {},
            [[]],
            {"": None},
            [chance.choice(EXTREMES)] * chance.choice((2, 1000)),
            nested(chance.choice((3, 60, 900))),
        )
    )


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def edit_json(data: bytes, chance: random.Random) -> bytes:
    """Values of a document replaced, removed, repeated or exchanged."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return overwrite(data, chance)
    for _ in range(chance.choice((1, 1, 2, 5))):
        found = descend(document, chance)
        if found is None:
            document = junk(chance)
            continue
        part, key = found
        change_value(part, key, document, chance)
    return json.dumps(document).encode("utf-8", "surrogatepass")


def descend(document: Any, chance: random.Random) -> tuple[Any, Any] | None:
    """A random place: what holds it, and under which key; None where nothing holds anything."""
    place: tuple[Any, Any] | None = None
    value = document
    while isinstance(value, (dict, list)) and value:
        key = (
            chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        )
        place = (value, key)
        value = value[key]
        if chance.random() < 0.15:
            break
    return place


def change_value(part: Any, key: Any, document: Any, chance: random.Random) -> None:
    value, way = part[key], chance.randrange(7)
    if way == 0:
        del part[key]
    elif way == 1 and isinstance(part, list):
        part[key : key + 1] = [value] * chance.choice((2, 3, 1000))
    elif way == 2 and isinstance(part, list):
        other = chance.randrange(len(part))
        part[key], part[other] = part[other], part[key]
    elif way == 3:
        other_place = descend(document, chance)
        if other_place is not None:
            # Copied: a document that holds itself is no JSON.
            part[key] = json.loads(json.dumps(other_place[0][other_place[1]]))
    elif way == 4 and isinstance(value, (int, float)) and not isinstance(value, bool):
        part[key] = chance.choice((*EXTREMES, -value, int(min(abs(value), 1e9)) + 1))
    elif way == 5 and isinstance(value, str):
        part[key] = chance.choice((value[::-1], value + "\0", value[:-1], value.upper(), "é" * 9))
    else:
        part[key] = junk(chance)


def edit_json_text(data: bytes, chance: random.Random) -> bytes:
    """What a document cannot hold as a value: depth, long numbers, bytes that are no text."""
    place = chance.randrange(len(data) + 1)
    piece = chance.choice(
        (
            b"[" * DEPTH,
            b'{"a":' * DEPTH,
            b"[" * DEPTH + b"]" * DEPTH,
            b"9" * 4000,
            b"9" * 5000,
            b"1e999",
            b"NaN",
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"\0",
            b'"\\ud800"',
            b",",
        )
    )
    colons = [i for i, byte in enumerate(data) if byte == ord(":")]
    if colons and chance.random() < 0.5:  # in place of a value
        place = chance.choice(colons) + 1
        end = min(
            (i for i in (data.find(mark, place) for mark in (b",", b"}")) if i >= 0),
            default=place,
        )
        return data[:place] + piece + data[end:]
    return data[:place] + piece + data[place:]


def swell_json(data: bytes, chance: random.Random) -> bytes:
    """Many small values: they take twenty times the memory of their text."""
    piece = chance.choice((b"[],", b"{},", b"0,", b'"a",', b"[[]],"))
    count = chance.choice((1_000, 10_000, 100_000)) if chance.random() < 0.95 else 30_000_000
    filling = b"[" + piece * count + b"0]"
    end = data.rstrip()
    if end[-1:] == b"}" and chance.random() < 0.7:  # beside what is there
        return end[:-1] + b', "more": ' + filling + b"}"
    colons = [i for i, byte in enumerate(data) if byte == ord(":")]
    if not colons:
        return filling
    place = chance.choice(colons) + 1
    return data[:place] + filling + b"," + data[place:]


JSON: tuple[Mutation, ...] = (
    *(edit_json, edit_json, edit_json, edit_json, edit_json_text, edit_json_text, swell_json),
    *BYTES,
)


# ---- zip archives

_CENTRAL, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
_FIELDS = {  # offset and struct of numbers in headers
    _CENTRAL: (
        (8, "H"),
        (10, "H"),
        (16, "I"),
        (20, "I"),
        (24, "I"),
        (28, "H"),
        (30, "H"),
        (42, "I"),
    ),
    _LOCAL: ((6, "H"), (8, "H"), (14, "I"), (18, "I"), (22, "I"), (26, "H"), (28, "H")),
    _END: ((8, "H"), (10, "H"), (12, "I"), (16, "I"), (20, "H")),
}


def edit_zip_header(data: bytes, chance: random.Random) -> bytes:
    """Sizes, offsets, methods and flags in the headers of an archive."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        mark = chance.choice((_CENTRAL, _LOCAL, _END))
        places = _all(data, mark)
        if not places:
            continue
        offset, code = chance.choice(_FIELDS[mark])
        begin = chance.choice(places) + offset
        width = struct.calcsize(code)
        if begin + width > len(result):
            continue
        old = int.from_bytes(result[begin : begin + width], "little")
        new = chance.choice((*EXTREMES, old + 1, old - 1, old ^ 1, old * 2, 8, 9, 12, 14, 93))
        result[begin : begin + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(result)


def _all(data: bytes, mark: bytes) -> list[int]:
    places, found = [], data.find(mark)
    while found >= 0:
        places.append(found)
        found = data.find(mark, found + 1)
    return places


def edit_zip_entries(data: bytes, chance: random.Random) -> bytes:
    """Entries renamed, dropped, doubled, emptied or blown up, and the archive packed anew."""
    entries = _entries(data)
    number = chance.randrange(len(entries))
    name, content = entries[number]
    way = chance.randrange(6)
    if way == 0:
        del entries[number]
    elif way == 1:
        other = chance.choice([name for name, _ in entries])
        entries[number] = (chance.choice((f"../{name}", f"/{name}", other, name[:-1])), content)
    elif way == 2:
        entries.insert(number, (name, chance.choice((b"", b"{}", content[:-1]))))
    elif way == 3:
        entries[number] = (name, b"")
    elif way == 4:
        filling = chance.choice((b" ", b"[", b"\0", b"1"))
        entries[number] = (name, filling * chance.choice((1 << 16, 1 << 20, 1 << 24)))
    else:
        entries[number] = (name, entries[chance.randrange(len(entries))][1])
    return _packed(entries, chance)


def edit_zip_json(data: bytes, chance: random.Random) -> bytes:
    """A JSON entry damaged, the rest as it was."""
    entries = _entries(data)
    numbers = [i for i, (name, _) in enumerate(entries) if name.endswith(".json")]
    # The program matters most; it is the largest.
    numbers.sort(key=lambda i: -len(entries[i][1]))
    number = numbers[0] if chance.random() < 0.8 else chance.choice(numbers)
    name, content = entries[number]
    entries[number] = (name, chance.choice(JSON)(content, chance))
    return _packed(entries, chance)


def _entries(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _packed(entries: Sequence[tuple[str, bytes]], chance: random.Random) -> bytes:
    method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return stream.getvalue()


ZIP: tuple[Mutation, ...] = (
    *(edit_zip_json, edit_zip_json, edit_zip_json, edit_zip_json),
    *(edit_zip_header, edit_zip_entries, *BYTES),
)


# ---- parquet tables


def edit_parquet_footer(data: bytes, chance: random.Random) -> bytes:
    """Bytes of the footer: schema, offsets, sizes and counts; its length stays right."""
    length = int.from_bytes(data[-8:-4], "little")
    begin = max(4, len(data) - 8 - length)
    footer = bytearray(data[begin:-8])
    for _ in range(chance.choice((1, 1, 2, 4)) if footer else 0):
        place = chance.randrange(len(footer))
        footer[place] = (
            chance.choice((0, 1, 0x7F, 0x80, 0xFF, footer[place] ^ 1, footer[place] + 2)) % 256
        )
    if chance.random() < 0.2:  # a number in as many bytes as numbers may have
        place = chance.randrange(len(footer) + 1)
        footer[place:place] = b"\xff" * 9 + b"\x01"
    size = len(footer) if chance.random() < 0.9 else chance.choice(EXTREMES) % (1 << 32)
    return data[:begin] + bytes(footer) + size.to_bytes(4, "little") + data[-4:]


def edit_parquet_pages(data: bytes, chance: random.Random) -> bytes:
    """Bytes before the footer: page headers, levels, dictionaries and values."""
    length = int.from_bytes(data[-8:-4], "little")
    end = max(4, len(data) - 8 - length)
    pages = data[4:end]
    return data[:4] + chance.choice((flip_bits, overwrite, edit_size))(pages, chance) + data[end:]


def edit_table(data: bytes, chance: random.Random) -> bytes:
    """A whole table with other columns, rows, types or values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    for _ in range(chance.choice((1, 1, 2))):
        table = _changed_table(table, chance)
    sink = io.BytesIO()
    pq.write_table(
        table,
        sink,
        row_group_size=chance.choice((1, 3, 4096)),
        compression=chance.choice(("none", "snappy", "zstd", "gzip")),
        use_dictionary=chance.random() < 0.5,
        data_page_version=chance.choice(("1.0", "2.0")),
        store_schema=chance.random() < 0.5,
    )
    return sink.getvalue()


def _changed_table(table: Any, chance: random.Random) -> Any:
    import pyarrow as pa

    if not table.num_columns:
        return table
    number = chance.randrange(table.num_columns)
    name, column = table.column_names[number], table.column(number)
    way = chance.randrange(7)
    if way == 0:
        return table.remove_column(number)
    if way == 1:
        names = list(table.column_names)
        names[number] = chance.choice(("", "x", *names))
        return table.rename_columns(names)
    if way == 2:
        return table.slice(0, chance.randrange(len(table) + 1))
    if way == 3:
        return pa.concat_tables([table] * chance.choice((2, 3)))
    values = column.to_pylist()
    if way == 4:
        chance.shuffle(values)
    else:
        for _ in range(chance.choice((1, 1, 3, len(values))) if values else 0):
            row = chance.randrange(len(values))
            values[row] = _other_value(values[row], chance)
    try:
        changed = pa.array(values, type=column.type if way < 6 else None)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        changed = pa.array([None] * len(values), type=pa.string())
    return table.set_column(number, name, changed)


def _other_value(value: Any, chance: random.Random) -> Any:
    if isinstance(value, list) and value and chance.random() < 0.8:
        value = list(value)
        place = chance.randrange(len(value))
        way = chance.randrange(4)
        if way == 0:
            del value[place]
        elif way == 1:
            value[place:place] = [value[place]] * chance.choice((1, 5, 1000))
        elif way == 2:
            chance.shuffle(value)
        else:
            value[place] = _other_value(value[place], chance)
        return value
    if isinstance(value, (int, float)):
        return chance.choice((*EXTREMES, value + 1, value - 1, -value, float("nan")))
    if isinstance(value, str):
        return chance.choice(("", "{}", "[" * DEPTH, value[::-1], value + "\0", "\n", value * 2))
    return chance.choice((None, 0, -1, "", [], [0]))


PARQUET: tuple[Mutation, ...] = (
    *(edit_table, edit_table, edit_table, edit_parquet_footer, edit_parquet_pages),
    *BYTES,
)


# ---- safetensors


def edit_tensor_header(data: bytes, chance: random.Random) -> bytes:
    """The JSON header: dtypes, shapes and offsets; its length is right, mostly."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    header = chance.choice((edit_json, edit_json, edit_json_text))(header, chance)
    size = len(header) if chance.random() < 0.9 else chance.choice(EXTREMES) % (1 << 64)
    return size.to_bytes(8, "little") + header + body


def edit_tensor_values(data: bytes, chance: random.Random) -> bytes:
    """Numbers in the tensors: not finite, huge, tiny, negative."""
    begin = 8 + int.from_bytes(data[:8], "little")
    body = bytearray(data[begin:])
    special = (float("nan"), float("inf"), -float("inf"), 3.4e38, 1e-45, -1.0, 0.0)
    for _ in range(chance.choice((1, 1, 10, 1000)) if len(body) >= 4 else 0):
        place = chance.randrange(len(body) // 4) * 4
        word = chance.choice(
            (struct.pack("<f", chance.choice(special)), chance.randbytes(4), b"\xff" * 4)
        )
        body[place : place + 4] = word
    return data[:begin] + bytes(body)


SAFETENSORS: tuple[Mutation, ...] = (
    *(edit_tensor_header, edit_tensor_header, edit_tensor_values, edit_tensor_values),
    *BYTES,
)


def ways_for(name: str) -> tuple[Mutation, ...]:
    """The mutations that fit a file by its name."""
    kinds = {
        ".json": JSON,
        ".pt2": ZIP,
        ".parquet": PARQUET,
        ".safetensors": SAFETENSORS,
    }
    return next((ways for suffix, ways in kinds.items() if name.endswith(suffix)), BYTES)
