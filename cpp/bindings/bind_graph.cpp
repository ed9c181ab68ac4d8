// Validation, node order, canonicalization and structural hash as functions of arrays.
#include <pybind11/stl.h>

#include <optional>

#include "arrays.h"
#include "bindings.h"
#include "narfast/graph/graph.h"
#include "narfast/graph/structural_hash.h"
#include "narfast/passes/canonicalize.h"

namespace narfast::bindings {

using namespace py::literals;

void bind_graph(py::module_& m) {
  m.attr("MAX_NODES") = kMaxNodes;
  m.def(
      "validate",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const py::gil_scoped_release unlocked;
        validate(batch);
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a,
      "Raises InvalidGraphError unless the batch is well formed. Shares its arguments.");
  m.def(
      "order_nodes",
      [](const py::array& op, const py::array& attr, const py::array& in_ptr,
         const py::array& in_src, const py::array& outputs) {
        const auto ops = share<OpId>(op, "op");
        const auto attrs = share<Attr>(attr, "attr");
        const auto ptr = share<Offset>(in_ptr, "in_ptr");
        const auto src = share<NodeId>(in_src, "in_src");
        const auto outs = share<NodeId>(outputs, "outputs");
        OrderedGraph ordered;
        {
          const py::gil_scoped_release unlocked;
          LooseGraph loose{{ops.begin(), ops.end()},
                           {attrs.begin(), attrs.end()},
                           {ptr.begin(), ptr.end()},
                           {src.begin(), src.end()},
                           {outs.begin(), outs.end()}};
          ordered = order_nodes(loose);
        }
        Graph& g = ordered.graph;
        return py::make_tuple(give(std::move(g.op)), give(std::move(g.attr)),
                              give(std::move(g.in_ptr)), give(std::move(g.in_src)),
                              give(std::move(ordered.old_id)));
      },
      "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a, "outputs"_a,
      "Ancestors of `outputs` in the deterministic order: (op, attr, in_ptr, in_src, old ids). "
      "Copies.");
  m.def(
      "canonicalization_passes",
      [] {
        py::typing::List<py::typing::Tuple<py::str, py::str>> passes;
        for (const Pass& pass : canonicalization_passes())
          passes.append(py::make_tuple(pass.name, pass.summary));
        return passes;
      },
      "All passes in the order they run: (name, summary).");
  m.def(
      "canonicalize",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src,
         const std::optional<HyperparameterArrays>& hyperparameters,
         const std::vector<std::string>& passes, int num_threads) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const auto rows = hyperparameters ? share(*hyperparameters) : HyperparametersView{};
        const PassMask mask = pass_mask({passes.begin(), passes.end()});
        CanonicalBatch result;
        {
          const py::gil_scoped_release unlocked;
          validate(batch);
          if (hyperparameters) validate(rows, static_cast<Offset>(batch.op.size()));
          result = canonicalize(batch, rows, mask, num_threads);
        }
        std::optional<HyperparameterArrays> fused;
        if (hyperparameters) fused = give(std::move(result.hyperparameters));
        return std::pair(give(std::move(result.graphs)), std::move(fused));
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(),
      "hyperparameters"_a = py::none(), "passes"_a, "num_threads"_a,
      "The five arrays of the canonical batch, and its hyperparameters if the batch has some: "
      "(ptr, key, value). Shares its arguments.");
  m.attr("HYPERPARAMETERS") = [] {
    py::tuple names(kHyperparameterNames.size());
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = py::str(kHyperparameterNames[i]);
    return names;
  }();
  m.def(
      "structural_hash",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, int num_threads) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        std::vector<Hash128> hashes;
        {
          const py::gil_scoped_release unlocked;
          validate(batch);
          hashes = structural_hash(batch, num_threads);
        }
        return give(std::move(hashes));
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "num_threads"_a,
      "uint64[graphs, 2]: the structural hash of each graph, high word first. Shares its "
      "arguments.");
  m.def(
      "structural_order",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, int num_threads) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        std::vector<NodeId> order;
        {
          const py::gil_scoped_release unlocked;
          validate(batch);
          order = structural_order(batch, num_threads);
        }
        return give(std::move(order));
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "num_threads"_a,
      "int32[nodes]: the nodes of each graph in an order that its structure fixes. Shares its "
      "arguments.");
}

}  // namespace narfast::bindings
