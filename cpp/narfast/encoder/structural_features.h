// Structural features: labels of places in operator graphs, weighed by rarity. Nothing is trained.
//
// A label is of a node with its surroundings (Weisfeiler and Leman), or of a few operators that
// follow each other in node order. Labels are hashes of operator names, not ids, so that a longer
// operator table leaves them as they are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "narfast/encoder/kernels.h"
#include "narfast/graph/graph.h"

namespace narfast {

/// Labels of graphs, in rows: operators alone after 0..hops rounds of refinement, operators and
/// attributes after 0..hops rounds, then runs of 2..ngrams operators that begin at each node (0
/// where the graph ends before the run does). Labels of different rows never mean the same.
struct LabelKinds {
  int hops = 1;
  int ngrams = 1;  // below 2 there are no runs

  std::size_t rows() const {
    return static_cast<std::size_t>(2 * (hops + 1) + (ngrams > 1 ? ngrams - 1 : 0));
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
    float weight;      // idf; what a network has of each kind of label has a fixed length
  };

  /// `label` ascends; `idf` says how rare each is. Throws CorruptFile where the lengths differ, the
  /// labels do not ascend, or an idf is not above zero.
  LabelIdf(LabelKinds kinds, std::vector<std::uint64_t> operator_hash,
           std::vector<std::uint64_t> label, std::vector<float> idf);

  const LabelKinds& kinds() const { return kinds_; }
  std::size_t size() const { return label_.size(); }
  std::span<const std::uint64_t> operator_hash() const { return operator_hash_; }

  /// Features of one network from its labels (`structural_labels`, `nodes` in each row).
  ///
  /// `vector` (any length) becomes a random projection: every distinct label adds a direction of
  /// signs drawn from its hash, whether it is listed or not (Achlioptas, Database-friendly random
  /// projections, 2003). `listed` gets the listed labels, ascending. How often a label occurs does
  /// not count: it says how deep a network is rather than how it is designed.
  void features(const Kernels& k, std::span<const std::uint64_t> labels, std::size_t nodes,
                std::span<float> vector, std::vector<Weighted>& listed) const;

 private:
  std::int64_t find(std::uint64_t label) const;

  LabelKinds kinds_;
  std::vector<std::uint64_t> operator_hash_;
  std::vector<std::uint64_t> label_;
  std::vector<float> idf_;
  float rarest_ = 1;  // idf of a label that is not listed
  std::vector<std::uint32_t> bucket_;
};

}  // namespace narfast
