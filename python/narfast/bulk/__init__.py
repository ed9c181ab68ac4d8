"""Encode many networks into one parquet file; failures are listed, finished rows are kept."""

from narfast.bulk.engines import open_engine
from narfast.bulk.engines.base import Engine, ReadingLimits
from narfast.bulk.engines.local import LocalEngine
from narfast.bulk.run import BulkReport, encode_to_parquet
from narfast.bulk.sources import Block, Inputs

__all__ = [
    "Block",
    "BulkReport",
    "Engine",
    "Inputs",
    "LocalEngine",
    "ReadingLimits",
    "encode_to_parquet",
    "open_engine",
]
