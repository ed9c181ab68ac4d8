// Rounds of hashing. Names have 128 bits, so distinct colours do not share one.
#include "narfast/encoder/color_refinement.h"

#include <algorithm>
#include <bit>

namespace narfast {
namespace {

constexpr Hash128 kSource = hash_word(11);
constexpr Hash128 kTarget = hash_word(12);

/// Numbers equal names, by open addressing: they are hashes already.
Coloring number_colors(std::span<const Hash128> names) {
  Coloring coloring;
  coloring.color.reserve(names.size());
  const std::size_t mask = std::bit_ceil(2 * names.size() + 1) - 1;
  std::vector<std::int32_t> table(mask + 1, -1);
  for (std::size_t node = 0; node < names.size(); ++node) {
    std::size_t slot = static_cast<std::size_t>(names[node].low) & mask;
    while (table[slot] >= 0 && coloring.name[index(table[slot])] != names[node])
      slot = (slot + 1) & mask;
    if (table[slot] < 0) {
      table[slot] = static_cast<std::int32_t>(coloring.name.size());
      coloring.name.push_back(names[node]);
      coloring.representative.push_back(static_cast<std::int32_t>(node));
    }
    coloring.color.push_back(table[slot]);
  }
  return coloring;
}

}  // namespace

std::vector<Coloring> refine_colors(std::span<const Hash128> features, const Links& links,
                                    int rounds) {
  std::vector<Coloring> colorings;
  colorings.reserve(static_cast<std::size_t>(rounds) + 1);
  colorings.push_back(number_colors(features));
  std::vector<Hash128> names(features.size()), as_source, as_target;
  for (int round = 0; round < rounds; ++round) {
    const Coloring& before = colorings.back();
    as_source.clear();
    as_target.clear();
    for (const Hash128 name : before.name) {
      as_source.push_back(combine(name, kSource));
      as_target.push_back(combine(name, kTarget));
    }
    for (std::size_t node = 0; node < names.size(); ++node) {
      const auto id = static_cast<std::int32_t>(node);
      Hash128 around;  // sums commute: a hash of both multisets
      for (const std::int32_t source : links.sources(id))
        around = around + as_source[index(before.color[index(source)])];
      for (const std::int32_t target : links.targets(id))
        around = around + as_target[index(before.color[index(target)])];
      names[node] = combine(before.name[index(before.color[node])], around);
    }
    colorings.push_back(number_colors(names));
  }
  return colorings;
}

void count_colors(std::span<const std::int32_t> nodes, const Coloring& coloring,
                  std::vector<ColorCount>& counts) {
  counts.clear();
  for (const std::int32_t node : nodes) counts.push_back({coloring.color[index(node)], 1.0f});
  if (counts.size() < 2) return;
  std::sort(counts.begin(), counts.end(), [&](const ColorCount& a, const ColorCount& b) {
    return a.color != b.color && coloring.name[index(a.color)] < coloring.name[index(b.color)];
  });
  std::size_t last = 0;
  for (std::size_t i = 1; i < counts.size(); ++i) {
    if (counts[i].color == counts[last].color)
      counts[last].count += 1.0f;
    else
      counts[++last] = counts[i];
  }
  counts.resize(last + 1);
}

}  // namespace narfast
