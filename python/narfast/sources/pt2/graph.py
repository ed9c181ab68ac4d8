"""The graph of a serialized exported program, equal to the tracer's graph of the same network.

Parameters, buffers, constants and integers are not nodes: they determine attributes of the
operators that use them. A subgraph of a higher-order operator replaces its call. Symbolic sizes are
unknown, unless the file has an example of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from narfast import operators
from narfast.errors import CorruptFileError, InvalidGraphError
from narfast.graph import ArchGraph, GraphMeta, build_graph
from narfast.sources._nodes import NodeList, operator_of
from narfast.sources.pt2.composites import einsum
from narfast.sources.torch_trace.attributes import Operand, Shape, describe
from narfast.sources.torch_trace.flops import attention_flops, flops

__all__ = ["read_program"]

_MAX_SIZE = 2**31 - 1  # for sizes; larger and unknown sizes are read as this
_MAX_COUNT = 2**62  # for parameters or operations
_MAX_DEPTH = 50  # nesting of subgraphs
_MAX_SIDES = 64  # for tensors
_MAX_PATH = 500  # characters of a module's path
# torch.export's numbers for floating-point and complex types.
_FLOATING = frozenset({6, 7, 8, 9, 10, 11, 13, 29, 30, 31, 32, 33})
_SHAPE_ONLY = frozenset(
    [
        *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like"),
        *("new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided"),
    ]
)
_VIEWS = frozenset(
    [
        *("slice", "select", "narrow", "view", "reshape", "permute", "transpose", "t", "alias"),
        *("unsqueeze", "squeeze", "expand", "detach", "as_strided", "diagonal", "flatten"),
        *("split", "split_with_sizes", "chunk", "unbind", "tensor_split", "unflatten", "movedim"),
    ]
)
_RECURRENT = {"lstm": "lstm", "gru": "gru", "rnn_tanh": "rnn", "rnn_relu": "rnn"}
_INDEXING = frozenset({"index", "index_select", "gather", "take_along_dim"})
_CONV_DEFAULTS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
# Argument names in the rules for attributes, if ATen's composites use other names.
_ALIASES = {"mat2": "other", "mat1": "self", "batch2": "mat2"}


@dataclass
class _Value:
    """A value of the program."""

    kind: Operand
    node: int | None = None  # None for integers and constants
    shape: Shape = ()
    parameters: frozenset[str] = frozenset()  # of a constant: parameters that it depends on
    base: str | None = None  # name of the value that it is a view of


@dataclass
class _Scope:
    """The values of a graph by name, and its facts about tensors and symbolic sizes."""

    tensors: dict[str, Any]
    sizes: dict[str, Any]
    values: dict[str, _Value] = field(default_factory=dict)


def _size(size: Any) -> int:
    """Return a size; symbolic ones without example, impossible and missing ones are `_MAX_SIZE`."""
    number = size.get("as_int")
    if number is None:
        hint = (size.get("as_expr") or {}).get("hint") or {}
        number = hint.get("as_int")
    if not isinstance(number, int) or not 0 <= number <= _MAX_SIZE:
        return _MAX_SIZE
    return number


def _only(union: dict[str, Any]) -> tuple[str, Any]:
    """Return name and value of a tagged union."""
    ((tag, value),) = union.items()
    return tag, value


def _tensor_names(argument: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the tensors in an argument, in order."""
    tag, value = _only(argument)
    if tag == "as_tensor":
        yield value["name"]
    elif tag == "as_tensors":
        yield from (item["name"] for item in value)
    elif tag == "as_optional_tensor":
        yield from _tensor_names(value)
    elif tag == "as_optional_tensors":
        for item in value:
            yield from _tensor_names(item)
    elif tag == "as_nested_tensors":
        yield from (item["name"] for group in value for item in group)


class _CallFields:
    """The arguments of a serialized call, by the names of its schema."""

    def __init__(self, scope: _Scope, arguments: dict[str, dict[str, Any]]) -> None:
        self._scope = scope
        self._arguments = arguments
        self.extra: dict[str, Any] = {}

    def value(self, name: str) -> Any:
        if name in self.extra:
            return self.extra[name]
        argument = self._arguments.get(name)
        if argument is None:
            return None
        tag, value = _only(argument)
        if tag in ("as_int", "as_float", "as_bool", "as_string"):
            return value
        if tag in ("as_ints", "as_floats", "as_bools"):
            return tuple(value)
        if tag == "as_sym_int":
            return self._symbolic(value)
        if tag == "as_sym_ints":
            return tuple(self._symbolic(item) for item in value)
        return None

    def _symbolic(self, value: dict[str, Any]) -> int:
        if "as_int" in value:
            return int(value["as_int"])
        return _size(self._scope.sizes.get(value["as_name"]) or {})

    def shape(self, name: str) -> Shape | None:
        argument = self._arguments.get(name)
        if argument is None and name in _ALIASES:
            argument = self._arguments.get(_ALIASES[name])
        if argument is None:
            return None
        found = [self._scope.values[n].shape for n in _tensor_names(argument)]
        return found[0] if len(found) == 1 else None


def _spelling(target: Sequence[str]) -> tuple[str, bool]:
    """Return ATen's name of an operator, and whether it writes into an operand."""
    name = target[-2] if len(target) >= 5 else target[-1]  # torch.ops.aten.add.Tensor
    in_place = name.endswith("_") and not name.endswith("__")
    if in_place and operators.lookup("aten", name) is None:
        name = name.rstrip("_")
    return name, in_place


def _module_path(node: dict[str, Any]) -> str | None:
    """Return the path of the module that a call belongs to, if the file has it."""
    stack = (node.get("metadata") or {}).get("nn_module_stack")
    if not isinstance(stack, str):
        return None
    innermost = stack.rpartition(";")[2].split(",")  # key, path, class
    path = innermost[1] if len(innermost) >= 3 else None
    return None if path is None else path.partition("@")[0][:_MAX_PATH]


def _depends_on_data(spelling: str, operands: Sequence[_Value]) -> bool:
    """Whether an operator depends on the network's input."""
    if spelling in _SHAPE_ONLY:
        return False
    return any(operand.kind is Operand.DATA for operand in operands)


def _computed_constant(operands: Sequence[_Value], shape: Shape) -> _Value:
    """Return the result of an operator on constants."""
    trained = frozenset[str]().union(*(operand.parameters for operand in operands))
    scalar = math.prod(shape) <= 1
    if trained:  # as in autograd's graph, its parameters identify it
        scalar = all(operand.kind is Operand.SCALAR for operand in operands)
    return _Value(Operand.SCALAR if scalar else Operand.PARAM, None, shape, trained)


class _Reader:
    """Builds the `NodeList` of a program."""

    def __init__(self) -> None:
        self.nodes = NodeList()
        self.used: set[str] = set()  # parameters used by operators on data
        self.sizes: dict[str, int] = {}  # elements of each parameter
        self._clips: dict[int, tuple[int, Any, Any]] = {}  # node: (clipped node, minimum, maximum)

    # Values.

    def _shape(self, scope: _Scope, name: str) -> Shape:
        sizes = scope.tensors[name]["sizes"]
        if len(sizes) > _MAX_SIDES:
            raise InvalidGraphError(f"a tensor of {len(sizes):,} dimensions")
        return tuple(_size(size) for size in sizes)

    def constant(self, scope: _Scope, name: str, parameter: str | None) -> None:
        """Declare a parameter, a buffer or a constant."""
        shape = self._shape(scope, name)
        kind = Operand.SCALAR if math.prod(shape) <= 1 else Operand.PARAM
        own = frozenset() if parameter is None else frozenset([parameter])
        if parameter is not None:
            self.sizes[parameter] = math.prod(shape)
        scope.values[name] = _Value(kind, None, shape, own)

    def input(self, scope: _Scope, name: str) -> None:
        """Declare an input of the network."""
        node = None
        if scope.tensors[name]["dtype"] in _FLOATING:
            node = self.nodes.append(operators.by_name("input").id, 0, [])
        scope.values[name] = _Value(Operand.DATA, node, self._shape(scope, name))

    # Graphs.

    def graph(self, graph: dict[str, Any], scope: _Scope, depth: int = 0) -> None:
        """Add the nodes of a graph whose inputs are in `scope`."""
        if depth > _MAX_DEPTH:
            raise InvalidGraphError(f"subgraphs are nested more than {_MAX_DEPTH} deep")
        for node in graph["nodes"]:
            self._call(node, scope, depth)

    def outputs(self, graph: dict[str, Any], scope: _Scope) -> list[str]:
        """Return the names of the tensors that a graph returns."""
        names = [name for output in graph["outputs"] for name in _tensor_names(output)]
        for name in names:
            self._known(scope, name)
        return names

    def _known(self, scope: _Scope, name: str) -> _Value:
        value = scope.values.get(name)
        if value is None:
            where = "cyclic" if name in scope.tensors else "dangling"
            raise InvalidGraphError(f"{where}: {name[:80]!r} is used before it is computed")
        return value

    def _call(self, node: dict[str, Any], scope: _Scope, depth: int) -> None:
        target = node["target"].split(".")
        arguments = {item["name"] or str(i): item["arg"] for i, item in enumerate(node["inputs"])}
        results = [name for output in node["outputs"] for name in _tensor_names(output)]
        names = [name for argument in arguments.values() for name in _tensor_names(argument)]
        operands = [self._known(scope, name) for name in names]
        graphs = [value for tag, value in map(_only, arguments.values()) if tag == "as_graph"]
        if graphs:
            self._subgraph(target[-1][:80], graphs, names, results, scope, depth)
            return
        if not results:
            return  # arithmetic on sizes, or assertions
        spelling, in_place = _spelling(target)
        shapes = [self._shape(scope, name) for name in results]
        floating = [scope.tensors[name]["dtype"] in _FLOATING for name in results]
        number: int | None = None
        if not _depends_on_data(spelling, operands):
            values = [_computed_constant(operands, shape) for shape in shapes]
        else:
            if any(floating):
                fields = _CallFields(scope, arguments)
                first = len(self.nodes.op)
                number = self._append(spelling, fields, operands)
                learned = frozenset[str]().union(*(operand.parameters for operand in operands))
                self.used |= learned
                for added in self.nodes.exact[first:]:
                    added["path"] = _module_path(node)
                if learned and number >= first:
                    self.nodes.exact[number]["params"] = sum(map(self.sizes.__getitem__, learned))
            base = names[0] if spelling in _VIEWS else None
            values = [
                _Value(Operand.DATA, number if is_floating else None, shape, base=base)
                for is_floating, shape in zip(floating, shapes, strict=True)
            ]
        scope.values.update(zip(results, values, strict=True))
        if in_place and number is not None and names and len(results) == 1:
            self._written(scope, names[0], results[0], operands, number)

    def _written(
        self, scope: _Scope, target: str, result: str, operands: Sequence[_Value], number: int
    ) -> None:
        """Record a write into the first operand: the value that it is a view of changes too."""
        changed = scope.values[target]
        base = changed.base
        after = scope.values[result]
        if base is None:
            scope.values[target] = after
            return
        before = scope.values[base]
        if math.prod(before.shape) == math.prod(changed.shape):
            written = number  # the whole value, in another shape
        else:
            edges = [v.node for v in (before, *operands[1:]) if v.node is not None]
            written = self.nodes.append(operators.by_name("scatter").id, 0, edges)
            view = self.nodes.append(operators.by_name("reshape").id, 0, [written])
            after = _Value(Operand.DATA, view, after.shape, base=base)
            scope.values[result] = scope.values[target] = after
        scope.values[base] = _Value(Operand.DATA, written, before.shape, base=before.base)

    # Operators.

    def _append(
        self,
        spelling: str,
        fields: _CallFields,
        operands: Sequence[_Value],
    ) -> int:
        if spelling in _RECURRENT:
            return self._recurrent(spelling, fields, operands)
        if spelling == "einsum":
            shaped = [(v.node, v.kind, v.shape) for v in operands]
            return einsum(self.nodes, str(fields.value("equation")), shaped)
        op = operator_of("aten", spelling, self.nodes.unknown)
        if op == "embedding":
            exact = describe(op, fields, spelling, []).exact
            return self.nodes.append(operators.by_name(op).id, 0, [], exact)
        if op in ("conv", "conv_transpose"):
            fields.extra = {
                name: default
                for name, default in _CONV_DEFAULTS.items()
                if fields.value(name) is None
            }
        elif op == "attention" and len(operands) >= 3:
            query, key, value = (v.shape for v in operands[:3])
            if min(len(query), len(key), len(value)) >= 2:
                fields.extra["flops"] = attention_flops(query, key, value)
        elif spelling in _INDEXING:
            constant = [v.shape for v in operands[1:] if v.kind is not Operand.DATA]
            if len(operands) == 2 and constant:
                fields.extra["picked"] = math.prod(constant[0])
        elif op == "clip" and len(operands) == 1 and operands[0].node is not None:
            return self._clip(spelling, fields, operands[0].node)
        kinds = [operand.kind for operand in operands]
        described = describe(op, fields, spelling, kinds)
        self.nodes.flops += flops(described.op, fields)
        order = range(len(kinds)) if described.order is None else described.order
        edges = [n for n in (operands[i].node for i in order) if n is not None]
        return self.nodes.append(
            operators.by_name(described.op).id, described.attr, edges, described.exact
        )

    def _clip(self, spelling: str, fields: _CallFields, node: int) -> int:
        """Add a clip; decomposed programs clip in two steps, from below and from above."""
        bounds = [
            fields.value(name) if fields.value(name) is not None else fields.value(f"{name}_val")
            for name in ("min", "max")
        ]
        before = self._clips.get(node)
        if before is not None and bounds[0] is None and before[2] is None:
            node, bounds[0] = before[0], before[1]
        fields.extra = {"min": bounds[0], "max": bounds[1]}
        described = describe("clip", fields, spelling, [Operand.DATA])
        number = self.nodes.append(operators.by_name(described.op).id, described.attr, [node])
        self._clips[number] = (node, bounds[0], bounds[1])
        return number

    def _recurrent(self, spelling: str, fields: _CallFields, operands: Sequence[_Value]) -> int:
        """Add one node per layer, as the tracer does."""
        layers = fields.value("num_layers")
        if not isinstance(layers, int) or not 1 <= layers <= 10_000:
            raise InvalidGraphError(f"a recurrent operator of {str(layers)[:40]} layers")
        initial = [v.node for v in operands[1:] if v.node is not None]
        node, op = operands[0].node, operators.by_name(_RECURRENT[spelling]).id
        for _ in range(layers):
            node = self.nodes.append(op, 0, [n for n in (node, *initial) if n is not None])
        assert node is not None
        return node

    def _subgraph(
        self,
        operator: str,
        graphs: list[dict[str, Any]],
        names: list[str],
        results: list[str],
        scope: _Scope,
        depth: int,
    ) -> None:
        """Replace a call by its subgraph: one branch, or one iteration of a loop."""
        chosen = graphs[-1] if operator == "while_loop" else graphs[0]
        graph = chosen["graph"]
        inner = _Scope(graph["tensor_values"], graph.get("sym_int_values") or {})
        inside = [name for item in graph["inputs"] for name in _tensor_names(item)]
        given = names[len(names) - len(inside) :] if inside else []
        if len(given) != len(inside):
            raise InvalidGraphError(
                f"{operator} has {len(names)} operands for {len(inside)} inputs of its subgraph"
            )
        for own, outer in zip(inside, given, strict=True):
            inner.values[own] = scope.values[outer]
        self.graph(graph, inner, depth + 1)
        returned = self.outputs(graph, inner)
        if len(returned) < len(results):
            raise InvalidGraphError(
                f"{operator} has {len(results)} results, its subgraph {len(returned)}"
            )
        for name, own in zip(results, returned, strict=False):
            scope.values[name] = inner.values[own]


def _declare_inputs(
    reader: _Reader, scope: _Scope, specs: list[dict[str, Any]], shared: Mapping[str, str]
) -> tuple[dict[str, int], tuple[Shape, ...]]:
    """Declare the inputs of the program; return sizes of parameters and shapes of inputs."""
    parameters: dict[str, int] = {}
    shapes: list[Shape] = []
    for spec in specs:
        tag, value = _only(spec)
        if tag == "user_input":
            for name in _tensor_names(value["arg"]):
                reader.input(scope, name)
                sizes = scope.tensors[name]["sizes"]
                shapes.append(tuple(_size(size) if "as_int" in size else -1 for size in sizes))
        elif tag == "parameter":
            own = shared.get(value["parameter_name"], value["parameter_name"])
            reader.constant(scope, value["arg"]["name"], own)
            parameters[own] = math.prod(scope.values[value["arg"]["name"]].shape)
        elif tag in ("buffer", "tensor_constant"):
            reader.constant(scope, value["arg"]["name"], None)
    return parameters, tuple(shapes)


def read_program(program: Any, path: Path, shared: Mapping[str, str]) -> ArchGraph:
    """Return the raw graph of a serialized exported program.

    Args:
        program: The program, as parsed from JSON.
        path: The file, for messages and for the name.
        shared: By parameter: a name that all parameters with the same weight share.

    Raises:
        CorruptFileError: It is not a program of torch.export.
        InvalidGraphError: The graph is cyclic, dangling, too large, or reaches no output.
    """
    reader = _Reader()
    try:
        module = program["graph_module"]
        graph = module["graph"]
        scope = _Scope(graph["tensor_values"], graph.get("sym_int_values") or {})
        specs = module["signature"]["input_specs"]
        parameters, shapes = _declare_inputs(reader, scope, specs, shared)
        reader.graph(graph, scope)
        returned = [
            name
            for spec in module["signature"]["output_specs"]
            for tag, value in [_only(spec)]
            if tag == "user_output"
            for name in _tensor_names(value["arg"])
        ]
        values = [reader._known(scope, name) for name in returned]
        nodes = reader.nodes
        nodes.outputs = [value.node for value in values if value.node is not None]
        params = sum(parameters.values())
    except InvalidGraphError as error:
        raise InvalidGraphError(f"{path}: {error}") from None
    except RecursionError:
        raise CorruptFileError(f"{path}: its program is nested too deep; export it again") from None
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0][:120]
        raise CorruptFileError(
            f"{path}: not a program of torch.export ({reason}); export it again"
        ) from None
    if not nodes.outputs:
        raise InvalidGraphError(f"{path}: no output depends on an input")
    if params > _MAX_COUNT:
        raise CorruptFileError(f"{path}: claims {params:,} parameters")
    meta = GraphMeta(
        name=path.stem,
        source="pt2",
        trace_kind="pt2",
        params=params,
        flops=nodes.flops if 0 < nodes.flops < _MAX_COUNT else None,
        input_shape=shapes[0] if shapes else None,
        input_shapes=shapes,
        unknown_ops=dict(sorted(nodes.unknown.items())),
        untraced=len(parameters.keys() - reader.used),
    )
    try:
        return build_graph(
            nodes.op, nodes.attr, nodes.inputs, nodes.outputs, meta, hyperparameters=nodes.exact
        )
    except InvalidGraphError as error:
        raise InvalidGraphError(f"{path}: {error}") from None
