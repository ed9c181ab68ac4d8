// The released splitter in two steps: codes of the nodes, then cuts of their sequence.
#include "narfast/motifs/neighbor_sequence.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <unordered_map>

namespace narfast {

namespace {

/// Numbers lists of distances in order of appearance.
class CodeBook {
 public:
  CodeBook() : small_(std::size_t{kSmall} * kSmall, -1) {}

  std::int32_t number(const std::vector<NodeId>& distances) {
    // Nearly all nodes read one or two near nodes: an exact table for these.
    if (distances.empty() ||
        (distances.size() <= 2 && distances.front() > 0 && distances.back() < kSmall)) {
      const NodeId first = distances.empty() ? 0 : distances.front();
      const NodeId second = distances.size() < 2 ? 0 : distances.back();
      std::int32_t& known =
          small_[static_cast<std::size_t>(first) * kSmall + static_cast<std::size_t>(second)];
      return known < 0 ? known = next_++ : known;
    }
    const auto [at, added] = others_.try_emplace(distances, next_);
    next_ += added ? 1 : 0;
    return at->second;
  }

 private:
  static constexpr NodeId kSmall = 64;
  std::vector<std::int32_t> small_;
  std::map<std::vector<NodeId>, std::int32_t> others_;
  std::int32_t next_ = 0;
};

/// For every pair of codes that follow each other, how often the pair occurs.
std::vector<std::int64_t> pair_frequencies(const std::vector<std::int32_t>& codes) {
  const std::size_t pairs = codes.size() - 1;
  const auto width = static_cast<std::size_t>(*std::max_element(codes.begin(), codes.end())) + 1;
  std::vector<std::int64_t> frequency(pairs);
  const auto count_in = [&](auto& table) {
    const auto key = [&](std::size_t i) {
      return static_cast<std::uint64_t>(codes[i]) * width +
             static_cast<std::uint64_t>(codes[i + 1]);
    };
    for (std::size_t i = 0; i < pairs; ++i) ++table[key(i)];
    for (std::size_t i = 0; i < pairs; ++i) frequency[i] = table[key(i)];
  };
  if (width * width <= 4 * codes.size() + 1024) {
    std::vector<std::int64_t> table(width * width);
    count_in(table);
  } else {
    std::unordered_map<std::uint64_t, std::int64_t> table;
    count_in(table);
  }
  return frequency;
}

}  // namespace

std::vector<std::int32_t> neighbor_codes(const GraphView& graph) {
  CodeBook book;
  std::vector<std::int32_t> codes;
  codes.reserve(graph.op.size());
  std::vector<NodeId> distances;
  for (NodeId node = 0; node < graph.num_nodes(); ++node) {
    distances.clear();
    for (NodeId source : graph.inputs(node)) distances.push_back(node - source);
    std::sort(distances.begin(), distances.end());
    distances.erase(std::unique(distances.begin(), distances.end()), distances.end());
    codes.push_back(book.number(distances));
  }
  return codes;
}

std::vector<NodeId> cut_sequence(const std::vector<std::int32_t>& codes) {
  if (codes.empty()) return {};
  const std::vector<std::int64_t> frequency = pair_frequencies(codes);

  auto jump = [&](std::size_t i) { return std::abs(frequency[i + 1] - frequency[i]); };
  std::map<std::int64_t, std::int64_t> jump_count;
  for (std::size_t i = 0; i + 1 < frequency.size(); ++i)
    if (jump(i) != 0) ++jump_count[jump(i)];
  std::int64_t threshold = 0, most = 0;
  for (const auto& [size, count] : jump_count)
    if (count > most) {
      most = count;
      threshold = size;
    }

  std::vector<NodeId> lengths{1};
  std::size_t i = 0;
  while (i + 1 < frequency.size()) {
    if (jump(i) <= threshold) {
      ++lengths.back();
      ++i;
      continue;
    }
    // A falling frequency ends the segment after one more node, a rising one ends it at once.
    if (frequency[i] > frequency[i + 1]) {
      ++lengths.back();
      ++i;
    }
    lengths.push_back(1);
    ++i;
  }
  if (i + 1 < codes.size()) ++lengths.back();
  return lengths;
}

std::vector<std::int32_t> neighbor_sequence(const GraphView& graph) {
  std::vector<std::int32_t> segment;
  segment.reserve(graph.op.size());
  std::int32_t number = 0;
  for (NodeId length : cut_sequence(neighbor_codes(graph)))
    segment.insert(segment.end(), static_cast<std::size_t>(length), number++);
  return segment;
}

}  // namespace narfast
