// The motif splitter in the released script of Neural Architecture Retrieval (Pei et al., ICLR
// 2024). A node is encoded by the relative positions of its in-neighbours, and the sequence of
// codes is cut where the frequency of adjacent pairs jumps. Operators play no part.
#pragma once

#include <cstdint>
#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

/// The code of every node, numbered by first appearance: two nodes share a code when their distinct
/// in-neighbours stand at the same distances before them. Nodes may be in any order.
/// O(nodes + edges log degree) where neighbours are near; far ones add the logarithm of the codes.
[[nodiscard]] std::vector<std::int32_t> neighbor_codes(const GraphView& graph);

/// Lengths of the segments into which a sequence of codes is cut; they add up to its length.
/// A cut is made where the counts of neighbouring pairs differ by more than a threshold, the most
/// common non-zero difference (the smallest such, on a tie). O(length).
[[nodiscard]] std::vector<NodeId> cut_sequence(const std::vector<std::int32_t>& codes);

/// Segment number of every node: `cut_sequence(neighbor_codes(graph))`, spread over the nodes.
[[nodiscard]] std::vector<std::int32_t> neighbor_sequence(const GraphView& graph);

}  // namespace narfast
