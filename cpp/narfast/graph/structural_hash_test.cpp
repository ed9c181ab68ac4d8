// What the structural hash must not see (node order) and what it must (everything else).
#include "narfast/graph/structural_hash.h"

#include <doctest/doctest.h>

#include <numeric>
#include <random>
#include <set>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

Hash128 hash(const Net& net) { return structural_hash(net.view()); }

TEST_CASE("the order of independent nodes does not matter") {
  Net one, two;
  const NodeId a = one.input();
  const NodeId b = one.add("conv", {a}), c = one.add("relu", {a});
  one.add("sub", {b, c});
  const NodeId x = two.input();
  const NodeId y = two.add("relu", {x}), z = two.add("conv", {x});
  two.add("sub", {z, y});
  CHECK(hash(one) == hash(two));
}

TEST_CASE("argument order matters, unless the operator commutes") {
  const auto with = [](std::string_view op, bool swapped) {
    Net net;
    const NodeId x = net.input();
    const NodeId y = net.add("relu", {x});
    swapped ? net.add(op, {y, x}) : net.add(op, {x, y});
    return hash(net);
  };
  CHECK(with("sub", false) != with("sub", true));
  CHECK(with("add", false) == with("add", true));
}

TEST_CASE("operators, attributes, edges and their number all count") {
  std::set<Hash128> hashes;
  const auto expect_new = [&](const Net& net) { CHECK(hashes.insert(hash(net)).second); };
  expect_new(Net{});
  for (const std::string_view op : {"relu", "gelu"})
    for (const Attr attr : {0u, 1u, 1u << 31}) {
      Net net;
      net.add(op, {net.input()}, attr);
      expect_new(net);
    }
  Net twice, skip, loose_end, apart;
  NodeId x = twice.input();
  twice.add("add", {x, x});
  expect_new(twice);
  x = skip.input();
  skip.add("add", {x, skip.add("relu", {x})});
  expect_new(skip);
  x = loose_end.input();
  loose_end.add("relu", {x});
  loose_end.add("relu", {x});
  expect_new(loose_end);
  apart.add("relu", {apart.input()});
  apart.add("relu", {apart.input()});
  expect_new(apart);
}

TEST_CASE("what is read by one and what by another is told apart at any depth") {
  // Two chains of equal operators, joined in two ways, far from where they differ.
  const auto joined = [](bool crossed) {
    Net net;
    NodeId a = net.add("conv", {net.input()}), b = net.add("gelu", {net.input()});
    for (int i = 0; i < 200; ++i) {
      a = net.add("relu", {a});
      b = net.add("relu", {b});
    }
    crossed ? net.add("sub", {b, a}) : net.add("sub", {a, b});
    return hash(net);
  };
  CHECK(joined(false) != joined(true));
}

TEST_CASE("a batch is hashed graph by graph, on any number of threads") {
  std::mt19937 random(3);
  std::vector<Graph> graphs;
  std::vector<Hash128> expected;
  for (int g = 0; g < 40; ++g) {
    Net net;
    net.input();
    for (NodeId i = 1; i < 30; ++i)
      net.add("add", {std::uniform_int_distribution<NodeId>(0, i - 1)(random), i - 1});
    graphs.push_back(net.graph());
    expected.push_back(hash(net));
  }
  const GraphBatch batch = concatenate(graphs);
  for (int threads : {1, 2, 5}) CHECK(structural_hash(batch.view(), threads) == expected);
}

TEST_CASE("the order by colours does not depend on the numbering") {
  Net one, two;
  const NodeId a = one.input();
  const NodeId b = one.add("conv", {a}), c = one.add("relu", {a});
  one.add("add", {b, c});
  const NodeId x = two.input();
  const NodeId y = two.add("relu", {x}), z = two.add("conv", {x});
  two.add("add", {z, y});
  const auto named = [](const Net& net) {
    std::vector<std::string_view> names;
    for (NodeId node : structural_order(net.view()))
      names.push_back(testing::op_names(net.view())[static_cast<std::size_t>(node)]);
    return names;
  };
  CHECK(named(one) == named(two));
  const std::vector<Graph> graphs{one.graph(), Graph{}, two.graph()};
  const GraphBatch batch = concatenate(graphs);
  std::vector<NodeId> expected = structural_order(one.view());
  const std::vector<NodeId> second = structural_order(two.view());
  expected.insert(expected.end(), second.begin(), second.end());
  for (int threads : {1, 2}) CHECK(structural_order(batch.view(), threads) == expected);
}

}  // namespace
}  // namespace narfast
