// Colour refinement for graph layers: the places of graphs that must agree after l layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/base/csr.h"
#include "narfast/graph/hash128.h"

namespace narfast {

/// Graphs side by side, nodes numbered through, with both directions of their edges.
struct Links {
  Csr<std::int32_t, std::int32_t> in;
  Csr<std::int32_t, std::int32_t> out;

  [[nodiscard]] std::size_t num_nodes() const { return in.size(); }
  [[nodiscard]] std::span<const std::int32_t> sources(std::int32_t node) const { return in[node]; }
  [[nodiscard]] std::span<const std::int32_t> targets(std::int32_t node) const { return out[node]; }
  [[nodiscard]] std::size_t degree(std::int32_t node) const {
    return sources(node).size() + targets(node).size();
  }
  /// Derives the outgoing side from the incoming one.
  void fill_outgoing() { out = transpose(in.view()); }
};

/// Colours of all nodes after some rounds; colours are numbered by first appearance.
struct Coloring {
  std::vector<std::int32_t> color;           // of each node
  std::vector<Hash128> name;                 // of each colour: the same in every graph and run
  std::vector<std::int32_t> representative;  // of each colour: its first node

  [[nodiscard]] std::size_t num_colors() const { return name.size(); }
};

/// A colour with how often it occurs.
struct ColorCount {
  std::int32_t color;
  float count;
};

/// Colourings after 0, 1, ..., `rounds` rounds, from a name for the features of each node.
///
/// Nodes of one colour after l rounds have equal features, and equal multisets of colours after
/// l - 1 rounds before and behind them; so l layers of message passing give them equal vectors
/// (Bollen et al., Exact compression of graph neural networks, arXiv 2304.14793). Expected
/// O(nodes + edges) for each round.
[[nodiscard]] std::vector<Coloring> refine_colors(std::span<const Hash128> features,
                                                  const Links& links, int rounds);

/// The distinct colours of some nodes with their counts, ordered by name. The structure alone fixes
/// this order, so sums in it round alike under any numbering of the nodes.
void count_colors(std::span<const std::int32_t> nodes, const Coloring& coloring,
                  std::vector<ColorCount>& counts);

}  // namespace narfast
