// Builds a raw architecture graph from the structure of an ONNX file: operators of the table,
// packed attributes, data-flow edges. Weights and constants become attributes of their readers, and
// shape arithmetic disappears. All other fusing and dropping is the job of passes/canonicalize.h.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hyperparameters.h"
#include "narfast/onnx/reader.h"

namespace narfast::onnx {

/// A raw graph and what the file says about it.
struct RawGraph {
  narfast::Graph graph;
  Hyperparameters hyperparameters;
  std::vector<std::string> texts;  ///< module paths, by their number in `hyperparameters`
  std::int64_t params = 0;  ///< elements of float initializers, batch-norm statistics excepted
  std::int64_t opset = 0;
  /// Of the first thousand inputs that declare one, in order; -1 where symbolic.
  std::vector<std::vector<std::int64_t>> input_shapes;
  /// Spellings that the operator table lacks ("domain.Type"), sorted, with their counts.
  std::vector<std::pair<std::string, std::int64_t>> unknown;
};

/// Builds the raw graph of `model`: the ancestors of its outputs in the order of order_nodes.
///
/// Edges carry trainable data flow, as in a trace of the network. Integer and boolean values (token
/// ids, masks, indices, shapes) and results of these alone count only as the sole input of a layer
/// with weights, or as the sole outputs of the network. Cost: O(nodes + edges + attributes); not
/// recursive in the length of the graph.
/// @throws InvalidGraph on cycles, dangling or doubly produced values, too many nodes, or when no
///         output depends on an input.
[[nodiscard]] RawGraph build_raw_graph(const Model& model);

/// read_model and build_raw_graph; every message begins with the path.
[[nodiscard]] RawGraph read_raw_graph(const std::string& path);

}  // namespace narfast::onnx
