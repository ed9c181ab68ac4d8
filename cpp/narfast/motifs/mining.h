// Divides graphs into motifs: one entry point for all methods.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hash128.h"

namespace narfast {

enum class MiningMethod : std::uint8_t {
  kRepeats,           // repeats.h, the default
  kNeighborSequence,  // neighbor_sequence.h, the released method of the paper
  kFixedSize,         // consecutive segments of `size` nodes
  kFixedCount,        // `count` consecutive segments of nearly equal size
  kRandom,            // consecutive segments of random size in [min_size, max_size]
};

/// The method of a name as users type it. Throws std::invalid_argument listing the names.
[[nodiscard]] MiningMethod mining_method(std::string_view name);

struct MiningOptions {
  MiningMethod method = MiningMethod::kRepeats;
  NodeId size = 8;
  NodeId count = 8;
  NodeId min_size = 2;
  NodeId max_size = 16;
  std::uint64_t seed = 0;
};

/// Motifs of a batch. Every node belongs to exactly one instance; instances are numbered within
/// their graph by their first node; equal `motif_id` means the same motif.
struct Motifs {
  std::vector<std::int32_t> node_instance;  // per node
  std::vector<Offset> instance_ptr{0};      // per graph, one entry more
  std::vector<Hash128> motif_id;            // per instance: structural hash of its induced subgraph

  bool operator==(const Motifs&) const = default;
};

/// Mines every graph of a batch. Results do not depend on `num_threads`.
/// Throws std::invalid_argument for sizes or counts below 1, InvalidGraph for a cyclic motif.
[[nodiscard]] Motifs mine(const GraphBatchView& batch, const MiningOptions& options,
                          int num_threads);

}  // namespace narfast
