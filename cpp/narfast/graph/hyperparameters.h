// The exact hyperparameters of operators: what packed attributes put into bins, and what they leave
// out. They stand beside a graph, for people and for comparison of two designs; hash, motifs and
// encoder do not read them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/base/csr.h"
#include "narfast/graph/graph.h"

namespace narfast {

/// What a value says. The numbers are part of the zoo format: add at the end, never move.
enum class Hyperparameter : std::uint8_t {
  kKernel,       // sides of the window
  kStride,       // along each side
  kDilation,     // along each side
  kPadding,      // along each side; the larger one where the two ends differ
  kGroups,       // of a convolution
  kInChannels,   // of a layer with weights; of an embedding, the size of its table
  kOutChannels,  // parts side by side (query, key, value; gate and value) count together
  kHeads,        // attention heads
  kKeyHeads,     // heads of keys and values, where fewer
  kHeadSize,     // elements of a head
  kNormSize,     // elements that a normalization takes together, or its channels
  kNormGroups,   // groups of a group norm
  kSlope,        // of an activation below zero, in millionths
  kAxes,         // that a reduction removes, or a softmax runs along
  kOutputSize,   // of an adaptive pooling or an interpolation, along each side of space
  kParams,       // learned parameters, those of the swallowed operators included
  kFused,        // operator ids of the normalizations that the operator swallowed, each once
  kEinsum,       // number of the text that holds the equation
  kPath,         // number of the text that holds the path of the module
};

/// The names of all hyperparameters, in the order of their numbers.
inline constexpr auto kHyperparameterNames = std::to_array<std::string_view>(
    {"kernel", "stride", "dilation", "padding", "groups", "in_channels", "out_channels", "heads",
     "key_heads", "head_size", "norm_size", "norm_groups", "slope", "axes", "output_size", "params",
     "fused", "einsum", "path"});
static_assert(kHyperparameterNames.size() == static_cast<std::size_t>(Hyperparameter::kPath) + 1);

/// Hyperparameters of the nodes of a graph or a batch, one row for each node: pairs of key and
/// value in the order of their keys. A key stands as often as it has values (three for the sides of
/// a volume). A key that is unknown, or does not apply, is absent.
struct HyperparametersView {
  std::span<const Offset> ptr;  // one entry more than there are nodes
  std::span<const std::uint8_t> key;
  std::span<const std::int64_t> value;

  [[nodiscard]] bool empty() const { return ptr.size() <= 1; }
};

/// The owning form.
struct Hyperparameters {
  std::vector<Offset> ptr{0};
  std::vector<std::uint8_t> key;
  std::vector<std::int64_t> value;

  [[nodiscard]] HyperparametersView view() const { return {ptr, key, value}; }
  /// Appends a value to the row at the end.
  void add(Hyperparameter what, std::int64_t number) {
    key.push_back(static_cast<std::uint8_t>(what));
    value.push_back(number);
  }
  /// Ends the row: sorts its pairs by key; values of a key keep their order.
  void end_row();
  /// Appends all rows of another list.
  void append(const HyperparametersView& rows);
  bool operator==(const Hyperparameters&) const = default;
};

/// Checks the rows of `nodes` nodes: offsets start at 0 and never fall, array lengths agree, keys
/// are known and rise within a row. O(nodes + values). Throws InvalidGraph naming the node.
void validate(const HyperparametersView& rows, Offset nodes);

/// The rows of `old_id`, in that order.
[[nodiscard]] Hyperparameters select_rows(const HyperparametersView& rows,
                                          std::span<const NodeId> old_id);

/// Which operators of a raw graph stand behind each node of a canonical one.
struct Origins {
  Csr<Offset, NodeId> nodes;         // the operator that the node descends from first, if any
  std::vector<std::uint8_t> beside;  // for each value of `nodes`: 1 if it was joined side by side
};

/// The hyperparameters of a canonical graph: each node has those of the operator that it descends
/// from, and what it swallowed fills the gaps where it suits the node's operator. Parameters add
/// up; so do output channels of what was joined side by side, and paddings. A key of more than 8
/// values is left out, so that every row is short.
/// O(nodes + values). `first` is the number of the raw graph's first row in `rows`.
[[nodiscard]] Hyperparameters fuse_hyperparameters(const GraphView& raw,
                                                   const HyperparametersView& rows, Offset first,
                                                   const GraphView& canonical,
                                                   const Origins& origins);

}  // namespace narfast
