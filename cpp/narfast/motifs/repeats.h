// The default motif miner. It finds the repeated blocks that people name, such as the 12 encoder
// layers of BERT-base or the bottlenecks of ResNet-50.
#pragma once

#include <cstdint>
#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

/// Divides a graph into blocks; returns the block number of every node.
///
/// The nodes in their deterministic order, each labelled by operator and attributes, form a
/// sequence in which every block of the network is contiguous. All its repeats come from a suffix
/// array. A repeat qualifies if it shortens the description of the sequence, (length - 1) x count >
/// length; the largest savings go first, with a preference for short blocks. A block is cut down to
/// its primitive root when it is itself periodic, and turned to the rotation with the narrowest
/// interface (fewest values crossing its border). Occurrences must be connected and equal in their
/// edges, not in labels only. The uncovered rest is searched again, coarse to fine, until nothing
/// repeats; then each connected piece of it becomes a block of its own.
///
/// Deterministic. Near-linear: each round costs O(nodes + edges) plus sorting, and at most 64
/// rounds run, each over the uncovered rest.
[[nodiscard]] std::vector<std::int32_t> find_repeats(const GraphView& graph);

}  // namespace narfast
