// Colours divide nodes as nested multisets do; their names and order depend on structure alone.
#include "narfast/encoder/color_refinement.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>

namespace narfast {
namespace {

struct Sample {
  Links links;
  std::vector<Hash128> features;
  std::vector<int> kinds;

  Sample(const std::vector<std::vector<std::int32_t>>& sources, std::vector<int> kinds_)
      : kinds(std::move(kinds_)) {
    for (std::size_t node = 0; node < sources.size(); ++node) {
      links.in.values.insert(links.in.values.end(), sources[node].begin(), sources[node].end());
      links.in.end_row();
      features.push_back(hash_word(static_cast<std::uint64_t>(kinds[node])));
    }
    links.fill_outgoing();
  }
};

/// Random edges between nodes of three kinds, some of them double; `place` renumbers the nodes.
Sample random_sample(unsigned seed, const std::vector<std::int32_t>& place) {
  std::mt19937 random(seed);
  const std::size_t nodes = place.size();
  std::vector<std::vector<std::int32_t>> sources(nodes);
  std::vector<int> kinds(nodes);
  for (std::size_t node = 0; node < nodes; ++node) {
    const auto at = static_cast<std::size_t>(place[node]);
    kinds[at] = static_cast<int>(random() % 3);
    for (std::size_t edges = random() % 3; edges > 0 && node > 0; --edges)
      sources[at].push_back(place[random() % node]);
  }
  return {sources, kinds};
}

std::vector<std::int32_t> in_order(std::size_t nodes) {
  std::vector<std::int32_t> place(nodes);
  std::iota(place.begin(), place.end(), 0);
  return place;
}

/// What a node sees after some rounds, spelt out.
std::string nested(const Sample& sample, std::int32_t node, int rounds) {
  const int kind = sample.kinds[static_cast<std::size_t>(node)];
  if (rounds == 0) return std::to_string(kind);
  std::string text = "(" + nested(sample, node, rounds - 1);
  for (const auto neighbors : {sample.links.sources(node), sample.links.targets(node)}) {
    std::vector<std::string> each;
    for (const std::int32_t other : neighbors) each.push_back(nested(sample, other, rounds - 1));
    std::sort(each.begin(), each.end());
    text += "|";
    for (const std::string& one : each) text += one + ",";
  }
  return text + ")";
}

TEST_CASE("outgoing edges are the incoming ones turned around") {
  const Sample sample({{}, {0}, {0, 1, 1}}, {0, 0, 0});
  const auto targets = [&](std::int32_t node) {
    const auto found = sample.links.targets(node);
    return std::vector<std::int32_t>(found.begin(), found.end());
  };
  CHECK(targets(0) == std::vector<std::int32_t>{1, 2});
  CHECK(targets(1) == std::vector<std::int32_t>{2, 2});
  CHECK(targets(2).empty());
  CHECK(sample.links.degree(1) == 3);
}

TEST_CASE("colours are equal where nested multisets are, and nowhere else") {
  constexpr int kRounds = 3;
  for (unsigned seed = 0; seed < 30; ++seed) {
    CAPTURE(seed);
    const Sample sample = random_sample(seed, in_order(14));
    const auto colorings = refine_colors(sample.features, sample.links, kRounds);
    REQUIRE(colorings.size() == kRounds + 1);
    for (int round = 0; round <= kRounds; ++round) {
      const Coloring& coloring = colorings[static_cast<std::size_t>(round)];
      std::map<std::string, std::int32_t> expected;  // numbered by first appearance, as colours are
      std::vector<std::int32_t> first;
      for (std::int32_t node = 0; node < 14; ++node) {
        const auto [at, added] = expected.try_emplace(nested(sample, node, round),
                                                      static_cast<std::int32_t>(expected.size()));
        if (added) first.push_back(node);
        CHECK(coloring.color[static_cast<std::size_t>(node)] == at->second);
      }
      CHECK(coloring.num_colors() == expected.size());
      CHECK(coloring.representative == first);
    }
  }
}

TEST_CASE("in and out are told apart, double edges count") {
  const auto colors = [](const std::vector<std::vector<std::int32_t>>& sources) {
    const Sample sample(sources, std::vector<int>(sources.size(), 0));
    return refine_colors(sample.features, sample.links, 1).back().color;
  };
  CHECK(colors({{}, {0}}) == std::vector<std::int32_t>{0, 1});
  CHECK(colors({{}, {0}, {}, {2}}) == std::vector<std::int32_t>{0, 1, 0, 1});
  CHECK(colors({{}, {0}, {}, {2, 2}}) == std::vector<std::int32_t>{0, 1, 2, 3});
}

TEST_CASE("names and the order of counts do not depend on how nodes are numbered") {
  using Counts = std::vector<std::pair<Hash128, float>>;
  const auto counts_of = [](const Sample& sample) {
    const Coloring coloring = refine_colors(sample.features, sample.links, 2).back();
    std::vector<ColorCount> counts;
    count_colors(in_order(coloring.color.size()), coloring, counts);
    Counts named;
    for (const auto& [color, count] : counts)
      named.emplace_back(coloring.name[static_cast<std::size_t>(color)], count);
    return named;
  };
  std::mt19937 random(7);
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::vector<std::int32_t> place = in_order(25);
    const Counts expected = counts_of(random_sample(seed, place));
    CHECK(std::is_sorted(expected.begin(), expected.end()));
    std::shuffle(place.begin(), place.end(), random);
    CHECK(counts_of(random_sample(seed, place)) == expected);
  }
}

TEST_CASE("counts say how often each colour occurs among the nodes asked for") {
  const Sample sample({{}, {}, {}, {}, {}}, {4, 5, 4, 4, 6});
  const Coloring coloring = refine_colors(sample.features, sample.links, 0).back();
  const std::vector<std::int32_t> nodes{3, 1, 0, 0};
  std::vector<ColorCount> counts{{9, 9.0f}};  // what was there is replaced
  count_colors(nodes, coloring, counts);
  std::map<std::int32_t, float> found;
  for (const auto& [color, count] : counts) found[color] = count;
  CHECK(counts.size() == 2);
  CHECK(found == std::map<std::int32_t, float>{{0, 3.0f}, {1, 1.0f}});
  count_colors({}, coloring, counts);
  CHECK(counts.empty());
}

}  // namespace
}  // namespace narfast
