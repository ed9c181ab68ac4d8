"""ONNX files by the byte, for what the onnx package cannot write: fields, weights as a hole."""

from __future__ import annotations

import os
from pathlib import Path

import onnx


def varint(value: int) -> bytes:
    """A number as Protobuf writes it."""
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def tag(number: int, length: int) -> bytes:
    """What stands before ``length`` bytes of a field."""
    return varint(number << 3 | 2) + varint(length)


def field(number: int, payload: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return tag(number, len(payload)) + payload


def write_with_hole(path: Path, model: onnx.ModelProto, size: int) -> None:
    """Write a model with ``size`` bytes of weights more, as a hole that no disk holds."""
    graph = model.graph.SerializeToString()
    rest = onnx.ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    tensor = onnx.TensorProto(dims=[size // 4], data_type=onnx.TensorProto.FLOAT, name="hole")
    before = tensor.SerializeToString() + tag(9, size)  # TensorProto.raw_data
    before = tag(5, len(before) + size) + before  # GraphProto.initializer
    head = rest.SerializeToString() + tag(7, len(before) + size + len(graph))  # ModelProto.graph
    with path.open("wb") as file:
        file.write(head + before)
        file.seek(size, os.SEEK_CUR)
        file.write(graph)
