// Questions that several passes ask of a node.
#pragma once

#include "narfast/graph/operators.h"
#include "narfast/graph/rewriter.h"

namespace narfast {

/// Whether batch norm or a bias after this operator can be folded into its weights.
[[nodiscard]] constexpr bool takes_folding(OpId op) {
  return op == "conv"_op || op == "conv_transpose"_op || op == "linear"_op ||
         op == "deform_conv"_op;
}

/// The input of a multiplication or division by a scalar constant, through a few of them in a row;
/// `node` itself if it is neither.
[[nodiscard]] NodeId strip_scale(const Rewriter& graph, NodeId node);

}  // namespace narfast
