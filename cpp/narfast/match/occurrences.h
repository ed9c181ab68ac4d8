// Occurrences of a small graph, the pattern, in large ones.
//
// An occurrence is an injective map from the nodes of the pattern to nodes of a graph such that
//   - labels agree at the chosen level (level.h), and
//   - the subgraph that the image induces is the pattern: between two nodes of the image there are
//     exactly the edges of the pattern, as often as there.
// Edges between the image and other nodes are free: a pattern says nothing of its boundary. The
// arguments of a node count in order, but only those inside the pattern: with a free argument
// between, before or behind them the order of the others still holds. For operators with the
// commutative trait the order does not count. So the pattern of a motif occurs wherever the miner
// finds the motif, and in places that the miner divides otherwise.
//
// Occurrences that are returned share no node, and no further occurrence is disjoint from all of
// them. They are found greedily, so there may be a larger set of disjoint ones: the largest is
// NP-hard to find.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/match/level.h"

namespace narfast {

/// Largest pattern that is accepted, in nodes.
inline constexpr NodeId kMaxPatternNodes = 10'000;

/// Steps that a search may take in one graph: so many and so many for each node of the graph, at
/// most the last number. A step is a node or an edge that is looked at; a million take about ten
/// milliseconds.
inline constexpr std::int64_t kMatchSteps = 500'000;
inline constexpr std::int64_t kMatchStepsPerNode = 1'000;
inline constexpr std::int64_t kMostMatchSteps = 200'000'000;

/// Graphs prepared for search: readers of each node, and nodes of each operator. Keeps the view,
/// not a copy. Needs graphs that `validate` accepts. O(nodes + edges), about 13 bytes for each edge
/// and 12 for each node. Threads may search one object at the same time.
class SearchableGraphs {
 public:
  explicit SearchableGraphs(const GraphBatchView& batch, int num_threads = 1);

  [[nodiscard]] std::size_t size() const { return batch_.size(); }
  [[nodiscard]] GraphView graph(std::size_t row) const { return batch_[row]; }
  /// The readers of each node of a graph, ascending, with multiplicity.
  [[nodiscard]] CsrView<Offset, NodeId> readers(std::size_t row) const;
  /// The nodes of an operator in a graph, ascending.
  [[nodiscard]] std::span<const NodeId> nodes_of(std::size_t row, OpId op) const;

 private:
  struct Bucket {
    OpId op;
    Offset begin;  // in by_operator_
  };

  GraphBatchView batch_;
  std::vector<Offset> reader_ptr_;   // one entry more than there are nodes
  std::vector<NodeId> reader_;       // numbered within their graph
  std::vector<NodeId> by_operator_;  // nodes of each graph, by operator, then ascending
  std::vector<Offset> bucket_ptr_;   // of each graph, in buckets_
  std::vector<Bucket> buckets_;      // of each graph, by operator; one more ends its last
};

/// Result of `find_occurrences`.
struct Occurrences {
  std::vector<Offset> ptr{0};          // per searched graph, one entry more
  std::vector<NodeId> node;            // pattern size for each occurrence: the image of each node
  std::vector<std::uint8_t> complete;  // per searched graph: 0 where the search was cut short

  bool operator==(const Occurrences&) const = default;
};

/// Occurrences of `pattern` in the graphs `rows`, in their order.
///
/// In each graph the search is anchored at the node of the pattern whose operator, then label, is
/// rarest in the graph, and tries the anchor's places in ascending order. From the anchor on nodes
/// are placed along edges, the most constrained first; a dead end jumps back to the last decision
/// that had a part in it (conflict-directed backjumping: Prosser, Hybrid algorithms for the
/// constraint satisfaction problem, 1993). Where that takes long, as among the many alike inputs of
/// the concatenations in a DenseNet, the anchor's place is searched anew by forward checking: first
/// for places in the order of the pattern's numbers, then, if nothing was found, for any.
/// Iterative. The worst case is exponential and ends at the limit of steps, or where an occurrence
/// is known and more would take long, with what was found until then and `complete` 0; expected
/// cost is the number of places of the anchor times the size of the pattern.
///
/// The result depends on pattern, graph and level alone. Patterns may fall apart into several
/// pieces. Throws InvalidGraph for a pattern that is empty or above kMaxPatternNodes, and
/// std::out_of_range for a row that does not exist. The pattern must pass `validate`.
[[nodiscard]] Occurrences find_occurrences(const SearchableGraphs& graphs,
                                           std::span<const std::int32_t> rows,
                                           const GraphView& pattern, MatchLevel level,
                                           int num_threads = 1);

/// Marks the nodes of a graph in topological order that lie on a path between two marked nodes, or
/// are marked: 1, others 0. O(nodes + edges).
[[nodiscard]] std::vector<std::uint8_t> between(const GraphView& graph,
                                                std::span<const std::uint8_t> marked);

}  // namespace narfast
