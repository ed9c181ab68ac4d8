// Which networks have which n-grams: an inverted index that screens networks before a search for
// occurrences, and says how rare a piece of a network is.
//
// An n-gram is an operator, an edge, or a path of two edges, by the labels of its nodes. An
// occurrence of a pattern (occurrences.h) maps the n-grams of the pattern to different n-grams of
// the graph with the same labels. So a graph that lacks one, or has it less often, cannot hold the
// pattern. Neighbourhoods (an operator with all its inputs and readers) would not do: a pattern
// does not know what reads its last node.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/match/level.h"

namespace narfast {

/// Stands in the places of an n-gram that has fewer than three nodes.
inline constexpr Label kNoLabel = ~Label{0};

/// The labels of an n-gram along the data flow, then kNoLabel.
using Ngram = std::array<Label, 3>;

/// N-grams of one graph, ascending, each with the number of times it occurs, at most 2^32 - 1.
struct NgramCounts {
  std::vector<Ngram> ngram;
  std::vector<std::uint32_t> count;
  bool partial = false;  // only single operators: the graph has too many different n-grams

  bool operator==(const NgramCounts&) const = default;
};

/// The n-grams of a graph at a level. Expected O(nodes + edges + paths), where paths between equal
/// labels through one node are taken together; a graph that has above a million different n-grams,
/// or above 64 million such paths, is `partial`.
[[nodiscard]] NgramCounts count_ngrams(const GraphView& graph, MatchLevel level);

/// For each of some n-grams the rows that have it, ascending, with the number of times.
struct NgramRows {
  std::vector<Offset> ptr{0};
  std::vector<std::int32_t> row;
  std::vector<std::uint64_t> count;
};

/// N-grams of exact labels, with the rows that have them. Coarser levels come from these: an n-gram
/// at a level has the rows of all exact ones that it stands for.
struct NgramIndex {
  std::int32_t rows = 0;
  std::vector<Label> label;           // distinct exact labels, ascending
  std::vector<std::int32_t> ngram;    // three places in `label` for each n-gram, -1 for none
  std::vector<Offset> ptr{0};         // of each n-gram, in `row`
  std::vector<std::int32_t> row;      // ascending for each n-gram
  std::vector<std::uint32_t> count;   // occurrences in that row
  std::vector<std::int32_t> partial;  // rows of which only single operators are listed, ascending

  bool operator==(const NgramIndex&) const = default;
};

/// The index of a batch, the same for any `num_threads`. Cost of `count_ngrams` for every graph,
/// and a sort of the n-grams.
[[nodiscard]] NgramIndex build_ngram_index(const GraphBatchView& batch, int num_threads);

/// Throws CorruptFile unless the arrays of an index fit together. O(size).
void validate(const NgramIndex& index);

/// The rows of some n-grams, given with labels at `level`. O(n-grams of the index, and the lists of
/// those that match).
[[nodiscard]] NgramRows find_ngrams(const NgramIndex& index, std::span<const Ngram> ngrams,
                                    MatchLevel level);

/// The rows whose graphs have all n-grams of a pattern as often as it has them, ascending. No row
/// with an occurrence of the pattern at this level is missing.
[[nodiscard]] std::vector<std::int32_t> candidate_rows(const NgramIndex& index,
                                                       const GraphView& pattern, MatchLevel level);

}  // namespace narfast
