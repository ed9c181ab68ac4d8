"""
The C++ core of narfast. Private: use the functions of the narfast package.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['DARTS_OPERATORS', 'Encoder', 'HYPERPARAMETERS', 'LabelIdf', 'MAX_NODES', 'MAX_PATTERN_NODES', 'NASBENCH101_OPERATORS', 'NASBENCH201_OPERATORS', 'NO_LABEL', 'NgramIndex', 'SearchableGraphs', 'align', 'attribute_layout', 'between', 'canonicalization_passes', 'canonicalize', 'coarsen', 'compared_attributes', 'count_crossings', 'count_ngrams', 'darts_networks', 'einsum_steps', 'find_spelling', 'inspect_onnx', 'instruction_set', 'instruction_sets', 'layered_layout', 'mine', 'nasbench101_cells', 'nasbench101_networks', 'nasbench201_networks', 'neighbor_codes', 'operator_table', 'order_nodes', 'pack_attributes', 'read_onnx', 'structural_hash', 'structural_labels', 'structural_order', 'validate']
class SearchableGraphs:
    """
    A batch prepared for search by block.
    """
    def __init__(self, op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
        """
        Shares its arguments.
        """
    def find(self, rows: numpy.ndarray, op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, level: str, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.uint8]]:
        """
        (ptr, node, complete): occurrences of a graph, the pattern, in the graphs `rows`; see cpp/narfast/match/occurrences.h. Shares its arguments.
        """
class NgramIndex:
    """
    Which graphs have which n-grams.
    """
    @staticmethod
    def build(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> NgramIndex:
        """
        The index of a batch. Shares its arguments.
        """
    def __init__(self, rows: typing.SupportsInt | typing.SupportsIndex, label: numpy.ndarray, ngram: numpy.ndarray, ptr: numpy.ndarray, row: numpy.ndarray, count: numpy.ndarray, partial: numpy.ndarray) -> None:
        """
        An index from its arrays, which are checked and copied. Raises CorruptFileError.
        """
    def arrays(self) -> tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int32]]:
        """
        (label, ngram, ptr, row, count, partial), copied.
        """
    def candidate_rows(self, op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, level: str) -> numpy.typing.NDArray[numpy.int32]:
        """
        int32[n]: the rows that have all n-grams of a graph. Shares its arguments.
        """
    def find(self, ngrams: numpy.ndarray, *, level: str) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.uint64]]:
        """
        (ptr, row, count): the rows of each n-gram of uint64[n, 3]. Shares its argument.
        """
    @property
    def rows(self) -> int:
        ...
class LabelIdf:
    """
    Labels with their inverse document frequencies. Copies its arrays.
    """
    def __init__(self, operator_hash: numpy.ndarray, label: numpy.ndarray, idf: numpy.ndarray, *, hops: typing.SupportsInt | typing.SupportsIndex, ngrams: typing.SupportsInt | typing.SupportsIndex) -> None:
        ...
    def features(self, op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, dim: typing.SupportsInt | typing.SupportsIndex, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
        """
        Of every graph: projections float32 (graphs, dim), and its listed labels as ptr int64, row int64, weight float32. Shares its arguments.
        """
class Encoder:
    """
    Inference; narfast.ArchitectureEncoder wraps it.
    """
    def __init__(self, settings: dict, tensors: dict, features: LabelIdf | None) -> None:
        ...
    def clear_motifs(self) -> None:
        """
        Forgets every motif.
        """
    def encode(self, op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, normalize: bool, num_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.float32]:
        """
        float32 (graphs, dim). Shares its arguments.
        """
    def insert_motifs(self, motif_id: numpy.ndarray, vectors: numpy.ndarray) -> None:
        """
        Keeps vectors from elsewhere. Copies.
        """
    def take_new_motifs(self) -> tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.float32]]:
        """
        (motif_id uint64 (n, 2), vectors float32 (n, motif_dim)) computed since the last call; the first call starts the record.
        """
    @property
    def num_motifs(self) -> int:
        """
        Number of distinct motifs in the cache.
        """
def align(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, part_a: numpy.ndarray, part_b: numpy.ndarray) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int32], int]:
    """
    (to_b, to_a, kept edges) of a batch of two graphs: int32 partners, -1 for none. Shares its arguments.
    """
def attribute_layout() -> dict[str, tuple[int, int]]:
    """
    The fields of packed attributes in the order of their bits: {name: (first bit, bits)}.
    """
def between(op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, marked: numpy.ndarray) -> numpy.typing.NDArray[numpy.uint8]:
    """
    uint8[nodes]: 1 for nodes that are marked or lie on a path between marked ones. Shares its arguments.
    """
def canonicalization_passes() -> list[tuple[str, str]]:
    """
    All passes in the order they run: (name, summary).
    """
def canonicalize(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, hyperparameters: tuple[typing.Annotated[numpy.typing.ArrayLike, numpy.int64], typing.Annotated[numpy.typing.ArrayLike, numpy.uint8], typing.Annotated[numpy.typing.ArrayLike, numpy.int64]] | None = None, passes: collections.abc.Sequence[str], num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[tuple[numpy.typing.NDArray[numpy.uint16], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32]], tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.int64]] | None]:
    """
    The five arrays of the canonical batch, and its hyperparameters if the batch has some: (ptr, key, value). Shares its arguments.
    """
def coarsen(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, node_instance: numpy.ndarray, instance_ptr: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32]]:
    """
    (in_ptr, in_src, in_count, member_ptr, member); see narfast.motifs.coarsen. Shares its arguments.
    """
def compared_attributes(level: str) -> int:
    """
    The mask of the packed attributes that count at a level.
    """
def count_crossings(from_place: numpy.ndarray, to_place: numpy.ndarray, weight: numpy.ndarray) -> int:
    """
    Crossings of straight edges between two layers, by the places of their ends.
    """
def count_ngrams(op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, level: str) -> tuple[numpy.typing.NDArray[numpy.uint64], numpy.typing.NDArray[numpy.uint32], bool]:
    """
    (uint64[n, 3] labels, uint32[n] counts, whether only single operators are counted) of one graph. Shares its arguments.
    """
def darts_networks(operators: numpy.ndarray, sources: numpy.ndarray, edge_ptr: numpy.ndarray, concat: numpy.ndarray, concat_ptr: numpy.ndarray, *, imagenet: bool, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[tuple[numpy.typing.NDArray[numpy.uint16], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32]], tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.int64]], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
    """
    (batch arrays, hyperparameters, params, flops); see narfast.search_spaces.darts.networks. Shares its arguments.
    """
def einsum_steps(equation: str, shapes: collections.abc.Sequence[collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex]]) -> list[tuple[str, int, int, list[int]]] | None:
    """
    (operator, left, right or -1, axes) of each step; values are numbered operands first. None where the equation does not fit. Copies.
    """
def find_spelling(frontend: str, spelling: str) -> typing.Any:
    """
    (operator id, data inputs or -1), or None.
    """
def inspect_onnx(path: str) -> typing.Any:
    """
    The top-level structure of an ONNX file as Python objects (copies), for tests and debugging.
    """
def instruction_set() -> str:
    """
    The instruction set in use.
    """
def instruction_sets() -> list[str]:
    """
    Names of the instruction sets that this processor can run; NARFAST_ISA may name one.
    """
def layered_layout(in_ptr: numpy.ndarray, in_src: numpy.ndarray, widths: numpy.ndarray, heights: numpy.ndarray, *, node_gap: typing.SupportsFloat | typing.SupportsIndex, layer_gap: typing.SupportsFloat | typing.SupportsIndex, sweeps: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.float64], numpy.typing.NDArray[numpy.uint8], int, float, float]:
    """
    (layer, place, x, y, route_ptr, route_x, route_y, bridge, crossings, width, height); see narfast.drawing.layout. Shares its arguments.
    """
def mine(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, method: str, size: typing.SupportsInt | typing.SupportsIndex, count: typing.SupportsInt | typing.SupportsIndex, min_size: typing.SupportsInt | typing.SupportsIndex, max_size: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.uint64]]:
    """
    (node_instance, instance_ptr, motif_id); see narfast.motifs.mine. Shares its arguments.
    """
def nasbench101_cells() -> numpy.typing.NDArray[numpy.uint64]:
    """
    uint64[423624]: one cell of every class; see narfast.search_spaces.nasbench101.cells.
    """
def nasbench101_networks(cells: numpy.ndarray, *, whole: bool, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[tuple[numpy.typing.NDArray[numpy.uint16], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32]], tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.int64]], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
    """
    (batch arrays, hyperparameters, params, flops); see narfast.search_spaces.nasbench101.networks. Shares its arguments.
    """
def nasbench201_networks(cells: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple[tuple[numpy.typing.NDArray[numpy.uint16], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32]], tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.int64]], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64]]:
    """
    (batch arrays, hyperparameters, params, flops); see narfast.search_spaces.nasbench201.networks. Shares its arguments.
    """
def neighbor_codes(op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray) -> numpy.typing.NDArray[numpy.int32]:
    """
    The codes of the paper's released splitter, one per node of one graph.
    """
def operator_table() -> list[tuple[str, str, int]]:
    """
    The operator table in id order: (name, category, trait bits).
    """
def order_nodes(op: numpy.ndarray, attr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, outputs: numpy.ndarray) -> tuple[numpy.typing.NDArray[numpy.uint16], numpy.typing.NDArray[numpy.uint32], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int32], numpy.typing.NDArray[numpy.int32]]:
    """
    Ancestors of `outputs` in the deterministic order: (op, attr, in_ptr, in_src, old ids). Copies.
    """
def pack_attributes(*, kernel: typing.SupportsInt | typing.SupportsIndex = 0, stride: typing.SupportsInt | typing.SupportsIndex = 0, groups: typing.SupportsInt | typing.SupportsIndex = 0, in_channels: typing.SupportsInt | typing.SupportsIndex = 0, out_channels: typing.SupportsInt | typing.SupportsIndex = 0, dilation: typing.SupportsInt | typing.SupportsIndex = 0, heads: typing.SupportsInt | typing.SupportsIndex = 0, spatial_rank: typing.SupportsInt | typing.SupportsIndex = 0, square: bool = True, param_operand: bool = False, scalar_operand: bool = False, constant_first: bool = False, last_axis: bool = False, space_axes: bool = False, layout_permute: bool = False, constant_class: typing.SupportsInt | typing.SupportsIndex = 0) -> int:
    """
    Attributes binned and packed into 32 bits; see cpp/narfast/graph/attributes.h.
    """
def read_onnx(paths: collections.abc.Sequence[bytes], num_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> list:
    """
    Raw graphs of ONNX files: per file (op, attr, in_ptr, in_src, facts), or (name of the error class, message). The result does not depend on num_threads.
    """
def structural_hash(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.uint64]:
    """
    uint64[graphs, 2]: the structural hash of each graph, high word first. Shares its arguments.
    """
def structural_labels(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, operator_hash: numpy.ndarray, hops: typing.SupportsInt | typing.SupportsIndex, ngrams: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.uint64]:
    """
    uint64 (rows, nodes); see cpp/narfast/encoder/structural_features.h. Shares its arguments.
    """
def structural_order(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray, *, num_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.int32]:
    """
    int32[nodes]: the nodes of each graph in an order that its structure fixes. Shares its arguments.
    """
def validate(op: numpy.ndarray, attr: numpy.ndarray, node_ptr: numpy.ndarray, in_ptr: numpy.ndarray, in_src: numpy.ndarray) -> None:
    """
    Raises InvalidGraphError unless the batch is well formed. Shares its arguments.
    """
DARTS_OPERATORS: tuple = ('none', 'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'sep_conv_7x7', 'dil_conv_3x3', 'dil_conv_5x5', 'conv_7x1_1x7')
HYPERPARAMETERS: tuple = ('kernel', 'stride', 'dilation', 'padding', 'groups', 'in_channels', 'out_channels', 'heads', 'key_heads', 'head_size', 'norm_size', 'norm_groups', 'slope', 'axes', 'output_size', 'params', 'fused', 'einsum', 'path')
MAX_NODES: int = 2000000
MAX_PATTERN_NODES: int = 10000
NASBENCH101_OPERATORS: tuple = ('conv3x3-bn-relu', 'conv1x1-bn-relu', 'maxpool3x3')
NASBENCH201_OPERATORS: tuple = ('none', 'skip_connect', 'nor_conv_1x1', 'nor_conv_3x3', 'avg_pool_3x3')
NO_LABEL: int = 18446744073709551615
