// Occurrences of blocks written by hand, and graphs that provoke backtracking.
#include "narfast/match/occurrences.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "narfast/graph/attributes.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

Occurrences find(const std::vector<Graph>& graphs, const Net& pattern,
                 MatchLevel level = MatchLevel::kExact, int threads = 1) {
  const GraphBatch batch = concatenate(graphs);
  std::vector<std::int32_t> rows(graphs.size());
  std::iota(rows.begin(), rows.end(), 0);
  return find_occurrences(SearchableGraphs(batch.view(), threads), rows, pattern.view(), level,
                          threads);
}

std::size_t count(const Net& graph, const Net& pattern, MatchLevel level = MatchLevel::kExact) {
  const Occurrences found = find({graph.graph()}, pattern, level);
  CHECK(found.complete == std::vector<std::uint8_t>{1});
  return index(found.ptr.back());
}

Net residual_pattern() {
  Net net;
  const NodeId conv = net.add("conv", {});
  net.add("add", {net.chain(conv, {"relu", "conv"})});
  return net;
}

Net residual_network(int blocks) {
  Net net;
  NodeId x = net.chain(net.input(), {"conv", "max_pool"});
  for (int i = 0; i < blocks; ++i) x = net.add("add", {net.chain(x, {"conv", "relu", "conv"}), x});
  net.add("linear", {x});
  return net;
}

TEST_CASE("every block of a network is found once, with its nodes") {
  const Occurrences found = find({residual_network(3).graph()}, residual_pattern());
  CHECK(found.ptr == std::vector<Offset>{0, 3});
  CHECK(found.node == std::vector<NodeId>{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
}

TEST_CASE("an edge too many or too few is no occurrence") {
  Net pattern;  // a chain without the skip inside
  pattern.chain(pattern.add("conv", {}), {"relu", "add"});
  Net plain;
  plain.chain(plain.add("conv", {plain.input()}), {"relu", "add"});
  CHECK(count(plain, pattern) == 1);
  Net skip;
  const NodeId conv = skip.add("conv", {skip.input()});
  skip.add("add", {skip.add("relu", {conv}), conv});
  CHECK(count(skip, pattern) == 0);
  Net twice;  // the same edge twice
  const NodeId relu = twice.chain(twice.input(), {"conv", "relu"});
  twice.add("add", {relu, relu});
  CHECK(count(twice, pattern) == 0);
}

TEST_CASE("arguments count in order, except where the operator commutes") {
  const auto two = [](std::string_view op, bool turned) {
    Net net;
    const NodeId x = net.input();
    const NodeId conv = net.add("conv", {x}), linear = net.add("linear", {x});
    net.add(op, turned ? std::vector<NodeId>{linear, conv} : std::vector<NodeId>{conv, linear});
    return net;
  };
  const auto pattern = [](std::string_view op) {
    Net net;
    const NodeId conv = net.add("conv", {}), linear = net.add("linear", {});
    net.add(op, {conv, linear});
    return net;
  };
  CHECK(count(two("sub", false), pattern("sub")) == 1);
  CHECK(count(two("sub", true), pattern("sub")) == 0);
  CHECK(count(two("add", true), pattern("add")) == 1);
}

TEST_CASE("free arguments may stand anywhere") {
  Net pattern;
  const NodeId conv = pattern.add("conv", {}), linear = pattern.add("linear", {});
  pattern.add("where", {conv, linear});
  Net graph;
  const NodeId x = graph.input();
  const NodeId first = graph.add("conv", {x}), second = graph.add("linear", {x});
  graph.add("where", {first, x, second});
  CHECK(count(graph, pattern) == 1);
}

TEST_CASE("levels") {
  const Attr three = pack_attributes({.kernel = 3, .groups = 1, .spatial_rank = 2});
  const Attr five = pack_attributes({.kernel = 5, .stride = 2, .groups = 1, .spatial_rank = 2});
  const Attr wide =
      pack_attributes({.kernel = 3, .groups = 8, .in_channels = 8, .spatial_rank = 2});
  const auto of = [](Attr attributes) {
    Net net;
    net.add("relu", {net.add("conv", {}, attributes)});
    return net;
  };
  CHECK(count(of(three), of(three), MatchLevel::kExact) == 1);
  CHECK(count(of(five), of(three), MatchLevel::kExact) == 0);
  CHECK(count(of(five), of(three), MatchLevel::kShapes) == 1);
  CHECK(count(of(wide), of(three), MatchLevel::kShapes) == 0);
  CHECK(count(of(wide), of(three), MatchLevel::kOperators) == 1);
  CHECK(match_level("shapes") == MatchLevel::kShapes);
  CHECK_THROWS_AS((void)match_level("shape"), std::invalid_argument);
}

TEST_CASE("occurrences share no node, and none is left") {
  Net chain;
  chain.chain(chain.add("relu", {}), {"relu", "relu", "relu", "relu"});
  Net pair;
  pair.chain(pair.add("relu", {}), {"relu"});
  CHECK(count(chain, pair) == 2);
  Net one;
  one.add("relu", {});
  CHECK(count(chain, one) == 5);
}

TEST_CASE("a pattern may fall apart") {
  Net pattern;
  pattern.chain(pattern.add("conv", {}), {"relu"});
  pattern.chain(pattern.add("linear", {}), {"gelu"});
  Net graph;
  const NodeId x = graph.input();
  const NodeId left = graph.chain(x, {"conv", "relu"}), right = graph.chain(x, {"linear", "gelu"});
  graph.add("concat", {left, right});
  CHECK(count(graph, pattern) == 1);
  Net joined;  // the pieces must not touch
  joined.chain(joined.input(), {"conv", "relu", "linear", "gelu"});
  CHECK(count(joined, pattern) == 0);
}

// A concatenation of `branches` equal branches, and a tail.
Net inception(int branches, std::initializer_list<std::string_view> tail) {
  Net net;
  const NodeId x = net.add("max_pool", {});
  std::vector<NodeId> ends;
  for (int i = 0; i < branches; ++i) ends.push_back(net.chain(x, {"conv", "relu", "conv", "relu"}));
  net.chain(net.add("concat", ends), tail);
  return net;
}

TEST_CASE("equal branches do not multiply the work of a search that fails") {
  const Net graph = inception(24, {"gelu", "linear", "softmax", "linear"});
  CHECK(count(graph, inception(24, {"gelu", "linear", "softmax", "linear"})) == 1);
  CHECK(count(graph, inception(24, {"gelu", "linear", "softmax", "mul"})) == 0);
  // The operators are the same in number, and the difference is far from the branches.
  CHECK(count(graph, inception(24, {"linear", "gelu", "softmax", "linear"})) == 0);
  CHECK(count(graph, inception(24, {"gelu", "linear", "linear", "softmax"})) == 0);
}

TEST_CASE("rows are searched in the order given, on any number of threads") {
  std::vector<Graph> graphs;
  for (int blocks : {0, 3, 1, 0, 5}) graphs.push_back(residual_network(blocks).graph());
  graphs.emplace_back();
  const Occurrences found = find(graphs, residual_pattern());
  CHECK(found.ptr == std::vector<Offset>{0, 0, 3, 4, 4, 9, 9});
  CHECK(found == find(graphs, residual_pattern(), MatchLevel::kExact, 3));
  const GraphBatch batch = concatenate(graphs);
  const SearchableGraphs prepared(batch.view());
  const std::vector<std::int32_t> rows{4, 1};
  const auto some = find_occurrences(prepared, rows, residual_pattern().view(), MatchLevel::kExact);
  CHECK(some.ptr == std::vector<Offset>{0, 5, 8});
  const std::vector<std::int32_t> missing{6};
  CHECK_THROWS_AS(
      (void)find_occurrences(prepared, missing, residual_pattern().view(), MatchLevel::kExact),
      std::out_of_range);
}

TEST_CASE("patterns without operators or with too many are refused") {
  CHECK_THROWS_AS((void)find({residual_network(1).graph()}, Net{}), InvalidGraph);
  Net large;
  NodeId x = large.add("relu", {});
  for (NodeId i = 0; i < kMaxPatternNodes; ++i) x = large.add("relu", {x});
  CHECK_THROWS_AS((void)find({residual_network(1).graph()}, large), InvalidGraph);
}

TEST_CASE("a search that would take for ever ends, and says that it did") {
  // Runs of 199 equal operators, in which a run of 200 is sought from every node on.
  Net graph;
  NodeId x = graph.input();
  for (int run = 0; run < 20; ++run) {
    for (int i = 0; i < 199; ++i) x = graph.add("relu", {x});
    x = graph.add("gelu", {x});
  }
  Net pattern;
  x = pattern.add("relu", {});
  for (int i = 1; i < 200; ++i) x = pattern.add("relu", {x});
  CHECK(count(graph, pattern) == 0);
  // Grids of commuting operators, where many paths lead to each dead end.
  Net grid;
  std::vector<NodeId> row{grid.input(), grid.input()};
  for (int i = 0; i < 3000; ++i) {
    const NodeId left = grid.add("add", {row[0], row[1]});
    row = {left, grid.add("add", {row[1], row[0]})};
  }
  Net deep;
  row = {deep.add("add", {}), deep.add("add", {})};
  for (int i = 0; i < 60; ++i) {
    const NodeId left = deep.add("add", {row[0], row[1]});
    row = {left, deep.add("add", {row[1], row[0]})};
  }
  deep.add("add", {row[0], row[0]});
  const Occurrences found = find({grid.graph()}, deep);
  CHECK(found.ptr.back() == 0);
}

TEST_CASE("what lies between marked nodes") {
  Net net;
  const NodeId x = net.input();
  const NodeId a = net.add("conv", {x});
  const NodeId b = net.add("relu", {a});
  const NodeId aside = net.add("gelu", {a});
  const NodeId c = net.add("linear", {b});
  net.add("add", {c, aside});
  const std::vector<std::uint8_t> marked{0, 1, 0, 0, 1, 0};
  CHECK(between(net.view(), marked) == std::vector<std::uint8_t>{0, 1, 1, 0, 1, 0});
  CHECK_THROWS_AS((void)between(net.view(), std::vector<std::uint8_t>{1}), InvalidGraph);
}

}  // namespace
}  // namespace narfast
