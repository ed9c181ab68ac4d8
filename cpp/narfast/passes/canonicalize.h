// Canonicalization: the named passes that bring one network, written by any code base and exported
// by any tool, to (nearly) the same graph.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/rewriter.h"

namespace narfast {

/// A pass: its name as users type it, what it does in one line, and the function.
struct Pass {
  std::string_view name;
  std::string_view summary;
  void (*apply)(Rewriter&);
};

/// All passes, in the order in which they run.
[[nodiscard]] std::span<const Pass> canonicalization_passes();

/// Bit i stands for pass i of `canonicalization_passes`.
using PassMask = std::uint32_t;

/// The mask of every pass.
[[nodiscard]] PassMask all_passes();

/// The mask of passes by name. Former names are accepted too; they are deprecated, and listed in
/// canonicalize.cpp. Throws std::invalid_argument with the list of names for an unknown one.
[[nodiscard]] PassMask pass_mask(const std::vector<std::string_view>& names);

/// Applies the chosen passes to one topologically ordered graph, in rounds, until a round changes
/// nothing: the result is a fixed point. O(nodes + edges) for each pass and round. Networks need
/// two rounds, the second of which changes nothing. Throws NotSettled after 32 rounds.
[[nodiscard]] Graph canonicalize(const GraphView& graph, PassMask passes);

/// The same, and for each node the operators of `graph` that stand behind it.
[[nodiscard]] Rewriter::Result canonicalize_with_origins(const GraphView& graph, PassMask passes);

/// A canonical batch and its hyperparameters; these are empty if the raw batch had none.
struct CanonicalBatch {
  GraphBatch graphs;
  Hyperparameters hyperparameters;
};

/// The same for every graph of a batch; independent of `num_threads`. `rows` are the
/// hyperparameters of all nodes, or empty. NotSettled names the graph.
[[nodiscard]] CanonicalBatch canonicalize(const GraphBatchView& batch,
                                          const HyperparametersView& rows, PassMask passes,
                                          int num_threads);

}  // namespace narfast
