// Structural features: labels of places in operator graphs, weighted by rarity. Nothing is trained.
//
// A label names a node with its surroundings (Weisfeiler and Leman), or an n-gram of operators in
// node order. Labels are hashes of operator names, not ids, so a longer operator table does not
// change them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/encoder/kernels.h"
#include "narfast/graph/graph.h"

namespace narfast {

/// Labels of graphs, in rows: operators alone after 0..hops rounds of refinement, operators and
/// attributes after 0..hops rounds, then the n-grams of 2..ngrams operators from each node on (0
/// where the graph ends before the n-gram). Labels of different rows never mean the same.
struct LabelKinds {
  int hops = 1;
  int ngrams = 1;  // below 2 there are no n-grams

  [[nodiscard]] std::size_t rows() const {
    const int rows = 2 * (hops + 1) + (ngrams > 1 ? ngrams - 1 : 0);
    return static_cast<std::size_t>(rows);
  }
};

/// The labels of one graph: rows() times its nodes. `operator_hash` has a hash for each operator of
/// the table. O(rows * (nodes + edges)). Edges may point anywhere.
void structural_labels(const GraphView& graph, const LabelKinds& kinds,
                       std::span<const std::uint64_t> operator_hash,
                       std::vector<std::uint64_t>& labels);

/// Inverse document frequencies of labels, and the features made with them.
class LabelIdf {
 public:
  /// A listed label that a network has, with its weight.
  struct Weighted {
    std::int64_t row;  // in the list
    float weight;      // idf, scaled: the labels of each kind have a fixed length in every network
  };

  /// `label` ascends; `idf` has the rarity of each. Throws CorruptFile where the lengths differ,
  /// the labels do not ascend, or an idf is not above zero.
  LabelIdf(LabelKinds kinds, std::vector<std::uint64_t> operator_hash,
           std::vector<std::uint64_t> label, std::vector<float> idf);

  [[nodiscard]] const LabelKinds& kinds() const { return kinds_; }
  [[nodiscard]] std::size_t size() const { return label_.size(); }
  [[nodiscard]] std::span<const std::uint64_t> operator_hash() const { return operator_hash_; }

  /// Features of one network from its labels (`structural_labels`, `nodes` in each row).
  ///
  /// `vector` (any length) becomes a random projection: every distinct label adds a direction of
  /// signs drawn from its hash, whether it is listed or not (Achlioptas, Database-friendly random
  /// projections, 2003). `listed` gets the listed labels, ascending. The number of occurrences of a
  /// label does not count: it tells the depth of a network rather than its design.
  void features(const Kernels& k, std::span<const std::uint64_t> labels, std::size_t nodes,
                std::span<float> vector, std::vector<Weighted>& listed) const;

 private:
  [[nodiscard]] std::int64_t find(std::uint64_t label) const;

  LabelKinds kinds_;
  std::vector<std::uint64_t> operator_hash_;
  std::vector<std::uint64_t> label_;
  std::vector<float> idf_;
  float rarest_ = 1;  // idf of a label that is not listed
  std::vector<std::uint32_t> bucket_;
};

}  // namespace narfast
