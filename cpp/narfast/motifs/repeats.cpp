// Rounds of candidates from a suffix array over the uncovered nodes; see repeats.h.
#include "narfast/motifs/repeats.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <optional>
#include <queue>

#include "narfast/graph/hash128.h"
#include "narfast/graph/operators.h"
#include "narfast/motifs/suffix_array.h"

namespace narfast {
namespace {

constexpr int kMaxRounds = 64;
constexpr std::int32_t kMinLength = 2;
// Work of one round spent on trying candidates, in node visits for each node still uncovered.
constexpr std::int64_t kWorkPerNode = 32;
// Neighbours in the suffix array to check for overlap, from either end of the range of a repeat.
constexpr std::int32_t kNeighborsLookedAt = 4;
// Rotations are tried for blocks up to this size: the search is quadratic in it.
constexpr std::int32_t kMaxRotatedLength = 512;
constexpr std::int32_t kFree = -1;

// The saving in sequence length when `count` copies of a block are written once and named.
std::int64_t gain(std::int64_t length, std::int64_t count) { return (length - 1) * count - length; }

// The priority of a block: twice the gain, less the length of the block once more. Many copies of
// one layer so come before few copies of two layers in a row.
std::int64_t worth(std::int64_t length, std::int64_t count) {
  return 2 * gain(length, count) - length;
}

class RepeatFinder {
 public:
  explicit RepeatFinder(const GraphView& graph)
      : graph_(graph), consumers_(consumers_of(graph)), block_(graph.op.size(), kFree) {
    label_nodes();
  }

  std::vector<std::int32_t> run() {
    for (int round = 0; round < kMaxRounds; ++round)
      if (!find_in_uncovered()) break;
    cover_leftovers();
    return std::move(block_);
  }

 private:
  struct Candidate {
    std::int64_t worth;
    Repeat repeat;
    bool exact;

    // Larger worth first, then shorter, then earlier: a total order, for reproducible runs.
    bool operator<(const Candidate& other) const {
      if (worth != other.worth) return worth < other.worth;
      if (repeat.length != other.repeat.length) return repeat.length > other.repeat.length;
      return repeat.first > other.repeat.first;
    }
  };

  void label_nodes() {
    std::vector<std::uint64_t> keys(graph_.op.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      keys[i] = (static_cast<std::uint64_t>(graph_.op[i]) << 32) | graph_.attr[i];
    std::vector<std::uint64_t> distinct = keys;
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    num_labels_ = static_cast<std::int32_t>(distinct.size());
    label_.reserve(keys.size());
    for (std::uint64_t key : keys)
      label_.push_back(static_cast<std::int32_t>(
          std::lower_bound(distinct.begin(), distinct.end(), key) - distinct.begin()));
  }

  // Writes the uncovered nodes as a text. A unique symbol stands in place of covered nodes.
  void write_text() {
    text_.clear();
    node_at_.clear();
    std::int32_t separator = num_labels_;
    for (NodeId node = 0; node < graph_.num_nodes(); ++node) {
      if (block_[index(node)] != kFree) continue;
      if (node > 0 && block_[index(node - 1)] != kFree) {
        text_.push_back(separator++);
        node_at_.push_back(kFree);
      }
      text_.push_back(label_[index(node)]);
      node_at_.push_back(node);
    }
    alphabet_ = separator;
  }

  // One round. Returns whether anything was covered.
  bool find_in_uncovered() {
    write_text();
    if (text_.size() < std::size_t{2} * kMinLength) return false;
    sa_ = suffix_array(text_, alphabet_);
    std::priority_queue<Candidate> queue = [&] {
      std::vector<Candidate> candidates;
      const auto lcp = common_prefixes(text_, sa_);
      for (const Repeat& repeat : right_maximal_repeats(sa_, lcp, kMinLength)) {
        Repeat block = repeat;
        block.length = overlap_period(repeat);
        if (2 * block.length <= repeat.length || block.length < kMinLength) continue;
        const std::int64_t fit =
            (block.highest_start - block.lowest_start + block.length) / block.length;
        const std::int64_t count = std::min<std::int64_t>(block.last - block.first + 1, fit);
        if (gain(block.length, count) > 0)
          candidates.push_back({worth(block.length, count), block, false});
      }
      return std::priority_queue<Candidate>(std::less<Candidate>(), std::move(candidates));
    }();

    bool covered = false;
    std::int64_t work = kWorkPerNode * static_cast<std::int64_t>(text_.size());
    while (!queue.empty() && work > 0) {
      Candidate candidate = queue.top();
      queue.pop();
      const auto [starts, blocked] = free_occurrences(candidate.repeat, work);
      // An earlier block covers a part of it. The rest may belong to a longer repeat, for the next
      // round to find.
      if (blocked) continue;
      const auto count = static_cast<std::int64_t>(starts.size());
      if (count < 2 || gain(candidate.repeat.length, count) <= 0) continue;
      const std::int64_t exact = worth(candidate.repeat.length, count);
      if (!candidate.exact && !queue.empty() && exact < queue.top().worth) {
        queue.push({exact, candidate.repeat, true});
        continue;
      }
      covered |= cover(candidate.repeat.length, starts, work);
    }
    return covered;
  }

  // The length of a repeat, or its period if two occurrences overlap: the period is then the block.
  // Overlapping occurrences are neighbours in the suffix array, so a few at either end of the range
  // suffice. If the period fits in twice, a shorter repeat has the same block with more
  // occurrences.
  [[nodiscard]] std::int32_t overlap_period(const Repeat& repeat) const {
    std::int32_t period = repeat.length;
    for (std::int32_t k = 0; k < std::min(kNeighborsLookedAt, repeat.last - repeat.first); ++k)
      for (const std::int32_t i : {repeat.first + k, repeat.last - 1 - k})
        period = std::min(period, std::abs(sa_[index(i + 1)] - sa_[index(i)]));
    return period;
  }

  // Starts (in the text) of disjoint occurrences, leftmost first, and whether one of them is partly
  // covered.
  std::pair<std::vector<std::int32_t>, bool> free_occurrences(const Repeat& repeat,
                                                              std::int64_t& work) const {
    std::vector<std::int32_t> starts(sa_.begin() + repeat.first, sa_.begin() + repeat.last + 1);
    work -= static_cast<std::int64_t>(starts.size());
    std::sort(starts.begin(), starts.end());
    std::vector<std::int32_t> kept;
    std::int32_t free_from = 0;
    for (std::int32_t start : starts) {
      if (start < free_from) continue;
      work -= repeat.length;
      if (!is_free(start, repeat.length)) return {{}, true};
      kept.push_back(start);
      free_from = start + repeat.length;
    }
    return {std::move(kept), false};
  }

  [[nodiscard]] bool is_free(std::int32_t start, std::int32_t length) const {
    for (std::int32_t i = start; i < start + length; ++i)
      if (node_at_[index(i)] == kFree || block_[index(node_at_[index(i)])] != kFree) return false;
    return true;
  }

  // Makes blocks of occurrences of equal structure. Returns whether there were any.
  bool cover(std::int32_t length, std::vector<std::int32_t> starts, std::int64_t& work) {
    if (const std::int32_t root = primitive_root(starts.front(), length); root < length) {
      starts = unroll(starts, length, root);
      length = root;
    }
    if (length < kMinLength) return false;
    rotate(length, starts);

    // Groups of at least two occurrences with the same edges inside.
    std::map<Hash128, std::vector<NodeId>> groups;
    for (std::int32_t start : starts) {
      const NodeId first = node_at_[index(start)];
      work -= std::int64_t{2} * length;
      if (const auto structure = connected_structure(first, length))
        groups[*structure].push_back(first);
    }
    bool covered = false;
    for (const auto& [structure, firsts] : groups) {
      if (firsts.size() < 2) continue;
      covered = true;
      for (NodeId first : firsts) {
        std::fill_n(block_.begin() + first, length, num_blocks_);
        ++num_blocks_;
      }
    }
    return covered;
  }

  // The period of the block if it fits in at least twice (the last repetition may be cut short),
  // else the length of the block.
  [[nodiscard]] std::int32_t primitive_root(std::int32_t start, std::int32_t length) const {
    std::vector<std::int32_t> border(index(length), 0);
    for (std::int32_t i = 1, k = 0; i < length; ++i) {
      while (k > 0 && text_[index(start + i)] != text_[index(start + k)]) k = border[index(k - 1)];
      if (text_[index(start + i)] == text_[index(start + k)]) ++k;
      border[index(i)] = k;
    }
    const std::int32_t period = length - border.back();
    return period * 2 <= length ? period : length;
  }

  // The starts of all whole copies of the root, in each occurrence and directly after it.
  [[nodiscard]] std::vector<std::int32_t> unroll(const std::vector<std::int32_t>& starts,
                                                 std::int32_t length, std::int32_t root) const {
    std::vector<std::int32_t> unrolled;
    std::int32_t free_from = 0;
    for (std::int32_t start : starts) {
      std::int32_t end = std::max(start, free_from);
      const std::int32_t phase = (end - start) % root;
      if (phase != 0) end += root - phase;
      while (end + root <= start + length || repeats_at(end, root)) {
        unrolled.push_back(end);
        end += root;
      }
      free_from = end;
    }
    return unrolled;
  }

  // Whether the `root` symbols at `at` are free and repeat the `root` symbols before them.
  [[nodiscard]] bool repeats_at(std::int32_t at, std::int32_t root) const {
    if (at + root > static_cast<std::int32_t>(text_.size()) || at < root) return false;
    if (!std::equal(text_.begin() + at, text_.begin() + at + root, text_.begin() + at - root))
      return false;
    return is_free(at, root);
  }

  // Moves all starts by the same distance, such that the fewest values cross the border of the
  // block.
  void rotate(std::int32_t length, std::vector<std::int32_t>& starts) const {
    if (length > kMaxRotatedLength) return;
    std::int32_t left = length - 1, right = length - 1;
    for (std::size_t k = 0; k < starts.size(); ++k) {
      const std::int32_t start = starts[k];
      std::int32_t l = 0, r = 0;
      while (l < left && can_move(start - l - 1, start - l - 1 + length)) ++l;
      while (r < right && can_move(start + r + length, start + r)) ++r;
      left = l;
      right = r;
    }
    // Within a run of copies any move is possible, so the ends decide. The loop above has found
    // their limits, as it takes the least over all occurrences.
    std::int32_t best_shift = 0;
    auto best = interface_cost(node_at_[index(starts.front())], length);
    for (std::int32_t distance = 1; distance <= std::max(left, right); ++distance)
      for (const std::int32_t shift : {-distance, distance}) {
        if (shift < -left || shift > right) continue;
        const auto cost = interface_cost(node_at_[index(starts.front() + shift)], length);
        if (cost < best) {
          best = cost;
          best_shift = shift;
        }
      }
    for (std::int32_t& start : starts) start += best_shift;
  }

  // Whether the symbol at `gained` may replace the symbol at `lost`: equal labels, and free.
  [[nodiscard]] bool can_move(std::int32_t gained, std::int32_t lost) const {
    if (gained < 0 || gained >= static_cast<std::int32_t>(text_.size())) return false;
    return text_[index(gained)] == text_[index(lost)] && is_free(gained, 1);
  }

  // The number of values across the border, then whether the block begins with an operator without
  // weights (people begin a block at its first layer, not at the activation before it).
  [[nodiscard]] std::pair<std::int32_t, bool> interface_cost(NodeId first,
                                                             std::int32_t length) const {
    const NodeId end = first + length;
    std::vector<NodeId> outside;
    std::int32_t crossing = 0;
    for (NodeId node = first; node < end; ++node) {
      for (NodeId source : graph_.inputs(node))
        if (source < first || source >= end) outside.push_back(source);
      const auto readers = consumers_[node];
      crossing += std::any_of(readers.begin(), readers.end(),
                              [&](NodeId reader) { return reader < first || reader >= end; });
    }
    std::sort(outside.begin(), outside.end());
    crossing +=
        static_cast<std::int32_t>(std::unique(outside.begin(), outside.end()) - outside.begin());
    return {crossing, !has_trait(graph_.op[index(first)], trait::kWeights)};
  }

  // A fingerprint of the edges inside nodes [first, first + length), or nothing if these edges do
  // not connect the nodes.
  std::optional<Hash128> connected_structure(NodeId first, std::int32_t length) {
    parent_.resize(index(length));
    std::iota(parent_.begin(), parent_.end(), 0);
    std::int32_t pieces = length;
    Hash128 structure;
    for (std::int32_t i = 0; i < length; ++i) {
      const bool ordered = !has_trait(graph_.op[index(first + i)], trait::kCommutative);
      std::uint64_t position = 0;
      for (NodeId source : graph_.inputs(first + i)) {
        const std::int32_t j = source - first;
        position += ordered;
        if (j < 0 || j >= length) continue;
        structure = combine(structure, hash_word((static_cast<std::uint64_t>(i) << 32) |
                                                 static_cast<std::uint64_t>(j)));
        structure = combine(structure, hash_word(position));
        const std::int32_t a = root_of(i), b = root_of(j);
        if (a != b) {
          parent_[index(a)] = b;
          --pieces;
        }
      }
    }
    return pieces == 1 ? std::optional(structure) : std::nullopt;
  }

  std::int32_t root_of(std::int32_t i) {
    while (parent_[index(i)] != i) {
      parent_[index(i)] = parent_[index(parent_[index(i)])];
      i = parent_[index(i)];
    }
    return i;
  }

  // Every maximal stretch of uncovered nodes becomes one block for each of its connected pieces.
  void cover_leftovers() {
    const NodeId n = graph_.num_nodes();
    for (NodeId begin = 0; begin < n;) {
      NodeId end = begin;
      while (end < n && block_[index(end)] == kFree) ++end;
      cover_pieces(begin, end - begin);
      begin = std::max(end, begin + 1);
    }
  }

  void cover_pieces(NodeId first, std::int32_t length) {
    connected_structure(first, length);  // leaves the pieces in parent_
    std::vector<std::int32_t> number(index(length), kFree);
    for (std::int32_t i = 0; i < length; ++i) {
      std::int32_t& block = number[index(root_of(i))];
      if (block == kFree) block = num_blocks_++;
      block_[index(first + i)] = block;
    }
  }

  GraphView graph_;
  Consumers consumers_;
  std::vector<std::int32_t> block_;
  std::int32_t num_blocks_ = 0;

  std::vector<std::int32_t> label_;
  std::int32_t num_labels_ = 0;

  std::vector<std::int32_t> text_;
  std::vector<NodeId> node_at_;
  std::int32_t alphabet_ = 0;
  std::vector<std::int32_t> sa_;

  std::vector<std::int32_t> parent_;
};

}  // namespace

std::vector<std::int32_t> find_repeats(const GraphView& graph) { return RepeatFinder(graph).run(); }

}  // namespace narfast
