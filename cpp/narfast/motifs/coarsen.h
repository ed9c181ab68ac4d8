// Macro graphs: every motif instance becomes one node.
#pragma once

#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

/// Macro graphs of a batch, with both maps. Instances are those of `Motifs`; a macro edge stands
/// for all operator edges between two instances. Macro graphs may have cycles (two motifs can feed
/// each other); they have no self-loops.
struct MacroGraphs {
  std::vector<Offset> in_ptr{0};       // per instance, one entry more
  std::vector<std::int32_t> in_src;    // in-neighbours, ascending, local to their graph
  std::vector<std::int32_t> in_count;  // operator edges behind each macro edge
  std::vector<Offset> member_ptr{0};   // per instance, one entry more
  std::vector<NodeId> member;          // nodes of each instance, ascending, local to their graph

  [[nodiscard]] CsrView<Offset, std::int32_t> edges() const { return {in_ptr, in_src}; }
  [[nodiscard]] CsrView<Offset, NodeId> members() const { return {member_ptr, member}; }
  bool operator==(const MacroGraphs&) const = default;
};

/// Builds the macro graphs. `node_instance` and `instance_ptr` are as in `Motifs`.
/// O(nodes + edges log degree); independent of `num_threads`. Nodes may be in any order.
/// Throws InvalidGraph if an instance number is out of range or an instance has no node.
[[nodiscard]] MacroGraphs coarsen(const GraphBatchView& batch,
                                  std::span<const std::int32_t> node_instance,
                                  std::span<const Offset> instance_ptr, int num_threads);

}  // namespace narfast
