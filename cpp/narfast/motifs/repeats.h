// The default motif miner: the repeated blocks a person would name, such as the 12 encoder layers
// of BERT-base or the bottlenecks of ResNet-50.
#pragma once

#include <cstdint>
#include <vector>

#include "narfast/graph/graph.h"

namespace narfast {

/// Divides a graph into blocks; returns the block number of every node.
///
/// The nodes in their deterministic order, each labelled by operator and attributes, form a
/// sequence in which every block of the network is contiguous. All its repeats come from a suffix
/// array. A repeat is worth taking if it shortens the sequence's description, (length - 1) x count
/// > length; those that shorten it most are taken first, with a preference for short blocks. A
/// block is cut down to its primitive root when it is itself periodic, and turned to the rotation
/// with the narrowest interface (fewest values crossing its border). Occurrences must be connected
/// and equal in their edges, not in labels only. What is left is searched again, coarse to fine,
/// until nothing repeats; leftover stretches become blocks of their own, one for each connected
/// piece.
///
/// Deterministic. Near-linear: each round costs O(nodes + edges) plus sorting, and at most
/// kMaxRounds rounds are made, each over what the ones before left.
std::vector<std::int32_t> find_repeats(const GraphView& graph);

}  // namespace narfast
