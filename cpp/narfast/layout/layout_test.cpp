// Layouts of graphs small enough to check by eye, crossings against a count of all pairs, and
// graphs of sizes that must not blow up.
#include "narfast/layout/layout.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <utility>

namespace narfast {
namespace {

using Inputs = Csr<Offset, NodeId>;

Inputs inputs_of(const std::vector<std::vector<NodeId>>& rows) {
  Inputs result;
  for (const auto& row : rows) {
    result.values.insert(result.values.end(), row.begin(), row.end());
    result.end_row();
  }
  return result;
}

Layout laid_out(const Inputs& inputs, LayoutOptions options = {}, double width = 40) {
  const std::vector<double> widths(inputs.size(), width);
  const std::vector<double> heights(inputs.size(), 10);
  return layered_layout(inputs.view(), widths, heights, options);
}

// What holds for every layout.
void check_layout(const Inputs& inputs, const Layout& layout, double width = 40,
                  double node_gap = 24) {
  const std::size_t size = inputs.size();
  REQUIRE(layout.layer.size() == size);
  REQUIRE(layout.route_ptr.size() == inputs.values.size() + 1);
  std::size_t edge = 0;
  for (std::size_t node = 0; node < size; ++node) {
    CHECK(layout.x[node] >= width / 2 - 1e-6);
    CHECK(layout.x[node] <= layout.width - width / 2 + 1e-6);
    for (const NodeId source : inputs[node]) {
      const auto span = layout.layer[node] - layout.layer[index(source)];
      CHECK(span >= 1);
      CHECK(layout.y[node] > layout.y[index(source)]);
      const Offset points = layout.route_ptr[edge + 1] - layout.route_ptr[edge];
      CHECK(points == (layout.bridge[edge] != 0 ? 0 : span - 1));
      ++edge;
    }
  }
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(layout.layer[a], layout.place[a]) <
           std::pair(layout.layer[b], layout.place[b]);
  });
  for (std::size_t i = 0; i + 1 < size; ++i)
    if (layout.layer[order[i]] == layout.layer[order[i + 1]])
      CHECK(layout.x[order[i + 1]] - layout.x[order[i]] >= width + node_gap - 1e-6);
}

TEST_CASE("nothing and one node") {
  CHECK(laid_out(Inputs()) == Layout());
  const Layout one = laid_out(inputs_of({{}}));
  CHECK(one.x == std::vector<double>{20});
  CHECK(one.y == std::vector<double>{5});
  CHECK(one.width == 40);
  CHECK(one.height == 10);
}

TEST_CASE("a residual branch: the trunk is straight, the skip passes beside it") {
  // 0 -> 1 -> 2 -> 3, 0 -> 3
  const Inputs inputs = inputs_of({{}, {0}, {1}, {0, 2}});
  const Layout layout = laid_out(inputs);
  check_layout(inputs, layout);
  CHECK(layout.layer == std::vector<std::int32_t>{0, 1, 2, 3});
  CHECK(layout.crossings == 0);
  CHECK(layout.x[1] == layout.x[2]);
  CHECK(layout.route_ptr == std::vector<Offset>{0, 0, 0, 2, 2});
  CHECK(layout.route_x[0] == layout.route_x[1]);
  CHECK(layout.height == 4 * 10 + 3 * 32);
}

TEST_CASE("two branches that start crossed are exchanged") {
  const Inputs inputs = inputs_of({{}, {}, {1}, {0}, {2}, {3}});
  const Layout layout = laid_out(inputs);
  check_layout(inputs, layout);
  CHECK(layout.crossings == 0);
}

TEST_CASE("K(2,2) crosses once, and equal edges count as one") {
  CHECK(laid_out(inputs_of({{}, {}, {0, 1}, {0, 1}})).crossings == 1);
  const Inputs inputs = inputs_of({{}, {}, {0, 1, 1}, {0, 0, 1}});
  check_layout(inputs, laid_out(inputs));
  CHECK(laid_out(inputs).crossings == 1);
}

TEST_CASE("a source stands above its only reader, not at the top") {
  const Inputs inputs = inputs_of({{}, {0}, {1}, {}, {2, 3}});
  CHECK(laid_out(inputs).layer[3] == 2);
}

TEST_CASE("crossings equal those of all pairs") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 300; ++trial) {
    const int edges = static_cast<int>(random() % 40);
    std::vector<std::int32_t> from;
    std::vector<std::int32_t> to;
    std::vector<std::int32_t> weight;
    for (int i = 0; i < edges; ++i) {
      from.push_back(static_cast<std::int32_t>(random() % 9));
      to.push_back(static_cast<std::int32_t>(random() % 9));
      weight.push_back(static_cast<std::int32_t>(1 + random() % 3));
    }
    std::int64_t expected = 0;
    for (std::size_t i = 0; i < from.size(); ++i)
      for (std::size_t j = 0; j < from.size(); ++j)
        if (from[i] < from[j] && to[i] > to[j]) expected += std::int64_t{weight[i]} * weight[j];
    CHECK(count_crossings(from, to, weight) == expected);
  }
}

TEST_CASE("random graphs keep what holds for every layout") {
  std::mt19937 random(11);
  for (int trial = 0; trial < 200; ++trial) {
    const auto size = static_cast<NodeId>(1 + random() % 60);
    std::vector<std::vector<NodeId>> rows(index(size));
    for (NodeId node = 1; node < size; ++node)
      for (auto count = random() % 4; count > 0; --count)
        rows[index(node)].push_back(static_cast<NodeId>(random() % index(node)));
    const Inputs inputs = inputs_of(rows);
    const Layout layout = laid_out(inputs);
    check_layout(inputs, layout);
    CHECK(laid_out(inputs) == layout);
    CHECK(layout.crossings <= laid_out(inputs, {.sweeps = 0}).crossings);
  }
}

TEST_CASE("a change at the end leaves the rest where it was") {
  std::vector<std::vector<NodeId>> rows{{}};
  for (NodeId block = 0; block < 30; ++block) {
    const auto x = static_cast<NodeId>(rows.size()) - 1;
    rows.push_back({x});
    rows.push_back({x + 1});
    rows.push_back({x, x + 2});
  }
  const Layout before = laid_out(inputs_of(rows));
  const auto last = static_cast<NodeId>(rows.size()) - 1;
  rows.push_back({last});
  rows.push_back({last});
  rows.push_back({last + 1, last + 2});
  const Layout after = laid_out(inputs_of(rows));
  for (std::size_t node = 0; node <= index(last); ++node) {
    CHECK(after.layer[node] == before.layer[node]);
    CHECK(after.x[node] - after.x[0] == doctest::Approx(before.x[node] - before.x[0]));
  }
}

TEST_CASE("long chains, wide fans and many long edges do not blow up") {
  constexpr NodeId kSize = 50'000;
  Inputs chain;
  chain.end_row();
  for (NodeId node = 1; node < kSize; ++node) {
    chain.values.push_back(node - 1);
    if (node % 1000 == 0) chain.values.push_back(0);  // skips across everything
    chain.end_row();
  }
  const Layout long_one = laid_out(chain);
  CHECK(long_one.layer.back() == kSize - 1);
  CHECK(long_one.route_x.size() < 40 * index(kSize) * 100);

  Inputs fan;
  fan.end_row();
  for (NodeId node = 1; node < kSize; ++node) {
    fan.values.push_back(0);
    fan.end_row();
  }
  for (NodeId node = 0; node < kSize; ++node) fan.values.push_back(node);
  fan.end_row();
  CHECK(laid_out(fan).crossings == 0);

  Inputs dense;  // every node reads its ten forerunners and the tenth part of all
  for (NodeId node = 0; node < 8'000; ++node) {
    for (NodeId back = 1; back <= 10 && back <= node; ++back) dense.values.push_back(node - back);
    if (node >= 10) dense.values.push_back(node / 10);
    dense.end_row();
  }
  const Layout tangle = laid_out(dense);
  CHECK(std::count(tangle.bridge.begin(), tangle.bridge.end(), 1) > 0);
}

TEST_CASE("bad input is refused") {
  CHECK_THROWS_AS(laid_out(inputs_of({{0}})), InvalidGraph);
  CHECK_THROWS_AS(laid_out(inputs_of({{}, {-1}})), InvalidGraph);
  CHECK_THROWS_WITH_AS(laid_out(inputs_of({{1}, {}})),
                       "node 0 reads node 1, which does not stand before it; number nodes "
                       "topologically",
                       InvalidGraph);
  const Inputs two = inputs_of({{}, {0}});
  const std::vector<double> good{1, 1};
  CHECK_THROWS_AS(layered_layout(two.view(), std::vector<double>{1}, good, {}),
                  std::invalid_argument);
  CHECK_THROWS_AS(layered_layout(two.view(), good, std::vector<double>{1, -1}, {}),
                  std::invalid_argument);
  CHECK_THROWS_AS(layered_layout(two.view(), good, std::vector<double>{1, std::nan("")}, {}),
                  std::invalid_argument);
  const std::vector<std::int32_t> one{0};
  CHECK_THROWS_AS((void)count_crossings(one, {}, one), std::invalid_argument);
  CHECK_THROWS_AS((void)count_crossings(one, std::vector<std::int32_t>{-1}, one),
                  std::invalid_argument);
}

}  // namespace
}  // namespace narfast
