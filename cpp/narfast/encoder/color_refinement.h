// Colour refinement for graph layers: which places of graphs cannot differ after l layers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/graph/hash128.h"

namespace narfast {

/// Graphs side by side, nodes numbered through, with both directions of their edges.
struct Links {
  std::vector<std::int32_t> in_ptr{0};
  std::vector<std::int32_t> in_src;
  std::vector<std::int32_t> out_ptr;
  std::vector<std::int32_t> out_dst;

  std::size_t num_nodes() const { return in_ptr.size() - 1; }
  std::span<const std::int32_t> sources(std::int32_t node) const {
    return part(in_ptr, in_src, node);
  }
  std::span<const std::int32_t> targets(std::int32_t node) const {
    return part(out_ptr, out_dst, node);
  }
  std::size_t degree(std::int32_t node) const {
    return sources(node).size() + targets(node).size();
  }
  /// Derives the outgoing side from the incoming one, by count, prefix sum and fill.
  void fill_outgoing();

 private:
  static std::span<const std::int32_t> part(const std::vector<std::int32_t>& ptr,
                                            const std::vector<std::int32_t>& values,
                                            std::int32_t node) {
    const auto i = static_cast<std::size_t>(node);
    return std::span(values).subspan(static_cast<std::size_t>(ptr[i]),
                                     static_cast<std::size_t>(ptr[i + 1] - ptr[i]));
  }
};

/// Colours of all nodes after some rounds; colours are numbered by first appearance.
struct Coloring {
  std::vector<std::int32_t> color;           // of each node
  std::vector<Hash128> name;                 // of each colour: the same in every graph and run
  std::vector<std::int32_t> representative;  // of each colour: its first node

  std::size_t num_colors() const { return name.size(); }
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
std::vector<Coloring> refine_colors(std::span<const Hash128> features, const Links& links,
                                    int rounds);

/// The distinct colours of some nodes with their counts, ordered by name: an order that structure
/// alone fixes, so that sums in it round alike wherever the nodes stand.
void count_colors(std::span<const std::int32_t> nodes, const Coloring& coloring,
                  std::vector<ColorCount>& counts);

}  // namespace narfast
