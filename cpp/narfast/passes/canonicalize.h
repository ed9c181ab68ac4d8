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
std::span<const Pass> canonicalization_passes();

/// Bit i stands for pass i of `canonicalization_passes`.
using PassMask = std::uint32_t;

/// The mask of passes by name. Throws std::invalid_argument for an unknown name, listing all.
PassMask pass_mask(const std::vector<std::string_view>& names);

/// Applies the chosen passes to one topologically ordered graph, again and again until none finds
/// anything to do, so that the result is a fixed point. O(nodes + edges) for each pass and round; a
/// second round, which changes nothing, is all that networks need.
Graph canonicalize(const GraphView& graph, PassMask passes);

/// The same for every graph of a batch; independent of `num_threads`.
GraphBatch canonicalize(const GraphBatchView& batch, PassMask passes, int num_threads);

// The fusing passes, each in a file of its kind (fuse_activations.cpp, ...). They find what
// exporters and code bases write out in primitive operators, and put the operator back that people
// name.
void fuse_activations(Rewriter& graph);
void fuse_norms(Rewriter& graph);
void fuse_attention(Rewriter& graph);
void fuse_rotary(Rewriter& graph);
void fuse_projections(Rewriter& graph);

/// The input of a multiplication or division by a scalar constant, through a few of them in a row;
/// the node itself if it is none.
NodeId strip_scale(const Rewriter& graph, NodeId node);

}  // namespace narfast
