// Repeated blocks of networks written by hand.
#include "narfast/motifs/repeats.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "narfast/graph/attributes.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

// Block number -> its nodes.
std::map<std::int32_t, std::vector<NodeId>> blocks_of(const Graph& graph) {
  std::map<std::int32_t, std::vector<NodeId>> blocks;
  const std::vector<std::int32_t> number = find_repeats(graph.view());
  REQUIRE(number.size() == graph.op.size());
  for (std::size_t node = 0; node < number.size(); ++node)
    blocks[number[node]].push_back(static_cast<NodeId>(node));
  return blocks;
}

// Operator names of a block -> how many blocks read so.
std::map<testing::Names, int> counts(const Graph& graph) {
  std::map<testing::Names, int> result;
  const testing::Names names = testing::op_names(graph.view());
  for (const auto& [number, nodes] : blocks_of(graph)) {
    testing::Names block;
    for (NodeId node : nodes) block.push_back(names[static_cast<std::size_t>(node)]);
    ++result[block];
  }
  return result;
}

NodeId bottleneck(Net& net, NodeId x, bool projection) {
  // The first layer of a projection block narrows by another ratio than those that follow.
  const NodeId first = net.add("conv", {x}, projection ? pack_attributes({.kernel = 3}) : 0);
  const NodeId branch = net.chain(first, {"relu", "conv", "relu", "linear"});
  const NodeId skip = projection ? net.add("conv", {x}, attr::kStrided) : x;
  return net.add("relu", {net.add("add", {branch, skip})});
}

TEST_CASE("nothing, one node, and nodes without edges") {
  CHECK(find_repeats(Graph{}.view()).empty());
  Net lone;
  lone.input();
  CHECK(blocks_of(lone.graph()).size() == 1);
  Net apart;
  for (int i = 0; i < 10; ++i) apart.input();
  CHECK(blocks_of(apart.graph()).size() == 10);  // nothing joins them
}

TEST_CASE("layers of a residual network, stem and head beside them") {
  for (int layers : {2, 3, 12, 100}) {
    Net net;
    NodeId x = net.chain(net.input(), {"conv", "max_pool"});
    for (int i = 0; i < layers; ++i) x = bottleneck(net, x, false);
    net.chain(x, {"global_avg_pool", "linear"});
    const auto found = counts(net.graph());
    CHECK(found.at({"conv", "relu", "conv", "relu", "linear", "add", "relu"}) == layers);
  }
}

TEST_CASE("two kinds of block, found coarse to fine") {
  Net net;
  NodeId x = net.chain(net.input(), {"conv", "max_pool"});
  for (int depth : {2, 3, 5, 2}) {
    x = bottleneck(net, x, true);
    for (int i = 0; i < depth; ++i) x = bottleneck(net, x, false);
  }
  net.add("linear", {x});
  std::map<std::size_t, int> of_size;
  for (const auto& [number, nodes] : blocks_of(net.graph())) ++of_size[nodes.size()];
  CHECK(of_size[7] == 12);  // identity
  CHECK(of_size[8] == 4);   // projection, one in each stage
}

TEST_CASE("a block is found whole when its occurrences are not neighbours") {
  Net net;
  NodeId x = net.input();
  for (std::string_view between : {"tanh", "sigmoid", "softmax"}) {
    x = net.add("add", {net.chain(x, {"layer_norm", "linear", "gelu", "linear"}), x});
    x = net.add(between, {x});
  }
  CHECK(counts(net.graph()).at({"layer_norm", "linear", "gelu", "linear", "add"}) == 3);
}

TEST_CASE("equal labels are not enough: edges inside must agree") {
  Net net;
  NodeId x = net.chain(net.input(), {"tanh"});
  for (int i = 0; i < 6; ++i) {
    const NodeId conv = net.add("conv", {x});
    const NodeId relu = net.add("relu", {conv});
    const NodeId mul = net.add("mul", {relu, i % 2 ? conv : x});
    x = net.add("softmax", {mul});
  }
  std::map<std::set<std::pair<NodeId, NodeId>>, int> structures;
  const Graph& graph = net.graph();
  const auto blocks = blocks_of(graph);
  for (const auto& [number, nodes] : blocks) {
    if (graph.op[static_cast<std::size_t>(nodes.front())] != "conv"_op) continue;
    std::set<std::pair<NodeId, NodeId>> edges;
    for (NodeId node : nodes)
      for (NodeId source : graph.view().inputs(node))
        if (source >= nodes.front()) edges.insert({source - nodes.front(), node - nodes.front()});
    ++structures[edges];
  }
  CHECK(structures.size() == 2);
  for (const auto& [edges, count] : structures) CHECK(count == 3);
}

TEST_CASE("every block is connected and every node is in one") {
  std::mt19937 random(5);
  for (int trial = 0; trial < 300; ++trial) {
    Net net;
    net.input();
    const NodeId nodes = 2 + static_cast<NodeId>(random() % 60);
    for (NodeId i = 1; i < nodes; ++i) {
      const std::string_view op =
          std::vector<std::string_view>{"conv", "relu", "add"}[random() % 3];
      const NodeId near =
          i - 1 - static_cast<NodeId>(random() % static_cast<unsigned>(std::min(i, 3)));
      op == "add" ? net.add(op, {i - 1, near}) : net.add(op, {near});
    }
    const Graph& graph = net.graph();
    for (const auto& [number, members] : blocks_of(graph)) {
      // Everything that the first member reaches over edges inside the block, in both directions.
      std::set<NodeId> reached{members.front()};
      for (std::size_t before = 0; before != reached.size();) {
        before = reached.size();
        for (NodeId node : members)
          for (NodeId source : graph.view().inputs(node)) {
            if (std::find(members.begin(), members.end(), source) == members.end()) continue;
            if (reached.count(node) || reached.count(source)) reached.insert({node, source});
          }
      }
      CHECK(reached.size() == members.size());
    }
  }
}

}  // namespace
}  // namespace narfast
