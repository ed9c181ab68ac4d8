// Miners and macro graphs as functions of arrays.
#include "arrays.h"
#include "bindings.h"
#include "narfast/motifs/coarsen.h"
#include "narfast/motifs/mining.h"
#include "narfast/motifs/neighbor_sequence.h"

namespace narfast::bindings {

using namespace py::literals;

void bind_motifs(py::module_& m) {
  m.def(
      "mine",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, const std::string& method, NodeId size,
         NodeId count, NodeId min_size, NodeId max_size, std::uint64_t seed, int num_threads) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const MiningOptions options{mining_method(method), size, count, min_size, max_size, seed};
        Motifs motifs;
        {
          const py::gil_scoped_release unlocked;
          validate_loose(batch);
          motifs = mine(batch, options, num_threads);
        }
        return py::make_tuple(give(std::move(motifs.node_instance)),
                              give(std::move(motifs.instance_ptr)),
                              give(std::move(motifs.motif_id)));
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "method"_a, "size"_a,
      "count"_a, "min_size"_a, "max_size"_a, "seed"_a, "num_threads"_a,
      "(node_instance, instance_ptr, motif_id); see narfast.motifs.mine. Shares its arguments.");
  m.def(
      "coarsen",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, const py::array& node_instance,
         const py::array& instance_ptr, int num_threads) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const auto instances = share<std::int32_t>(node_instance, "node_instance");
        const auto ptr = share<Offset>(instance_ptr, "instance_ptr");
        MacroGraphs macro;
        {
          const py::gil_scoped_release unlocked;
          validate_loose(batch);
          macro = coarsen(batch, instances, ptr, num_threads);
        }
        return py::make_tuple(give(std::move(macro.in_ptr)), give(std::move(macro.in_src)),
                              give(std::move(macro.in_count)), give(std::move(macro.member_ptr)),
                              give(std::move(macro.member)));
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, "node_instance"_a, "instance_ptr"_a,
      py::kw_only(), "num_threads"_a,
      "(in_ptr, in_src, in_count, member_ptr, member); see narfast.motifs.coarsen. Shares its "
      "arguments.");
  m.def(
      "neighbor_codes",
      [](const py::array& op, const py::array& attr, const py::array& in_ptr,
         const py::array& in_src) {
        const GraphView graph{share<OpId>(op, "op"), share<Attr>(attr, "attr"),
                              share<Offset>(in_ptr, "in_ptr"), share<NodeId>(in_src, "in_src")};
        const std::vector<Offset> node_ptr{0, static_cast<Offset>(graph.op.size())};
        validate_loose({graph.op, graph.attr, node_ptr, graph.in_ptr, graph.in_src});
        return give(neighbor_codes(graph));
      },
      "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a,
      "The codes of the paper's released splitter, one per node of one graph.");
}

}  // namespace narfast::bindings
