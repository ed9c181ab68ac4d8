// The released splitter in two steps: codes of the nodes, then cuts of their sequence.
#include "narfast/neighbor_sequence.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "narfast/hash128.h"

namespace narfast {

std::vector<std::int32_t> neighbor_codes(const GraphView& graph) {
  // Codes by hash of the distances, then an exact comparison within the bucket.
  struct Code {
    std::vector<NodeId> distances;
    std::int32_t number;
  };
  std::unordered_map<std::uint64_t, std::vector<Code>> buckets;
  std::vector<std::int32_t> codes;
  codes.reserve(graph.op.size());
  std::int32_t next = 0;
  std::vector<NodeId> distances;
  for (NodeId node = 0; node < graph.num_nodes(); ++node) {
    distances.clear();
    for (NodeId source : graph.inputs(node)) distances.push_back(node - source);
    std::sort(distances.begin(), distances.end());
    distances.erase(std::unique(distances.begin(), distances.end()), distances.end());
    std::uint64_t key = mix64(distances.size());
    for (NodeId d : distances) key = mix64(key ^ static_cast<std::uint64_t>(d));

    std::vector<Code>& bucket = buckets[key];
    auto it = std::find_if(bucket.begin(), bucket.end(),
                           [&](const Code& code) { return code.distances == distances; });
    if (it == bucket.end()) it = bucket.insert(bucket.end(), {distances, next++});
    codes.push_back(it->number);
  }
  return codes;
}

std::vector<NodeId> cut_sequence(const std::vector<std::int32_t>& codes) {
  if (codes.empty()) return {};
  auto pair_key = [&](std::size_t i) {
    return (static_cast<std::uint64_t>(codes[i]) << 32) | static_cast<std::uint32_t>(codes[i + 1]);
  };
  std::unordered_map<std::uint64_t, std::int64_t> pair_count;
  for (std::size_t i = 0; i + 1 < codes.size(); ++i) ++pair_count[pair_key(i)];
  std::vector<std::int64_t> frequency;
  frequency.reserve(codes.size());
  for (std::size_t i = 0; i + 1 < codes.size(); ++i) frequency.push_back(pair_count[pair_key(i)]);

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
