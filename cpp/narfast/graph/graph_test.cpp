// Well-formedness, and the deterministic node order.
#include "narfast/graph/graph.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

GraphBatch two_graphs() {
  Net first, second;
  first.chain(first.input(), {"conv", "relu"});
  second.add("add", {second.input(), second.input()});
  const std::vector<Graph> graphs{first.graph(), second.graph()};
  return concatenate(graphs);
}

std::string complaint(const GraphBatch& batch) {
  try {
    validate(batch.view());
  } catch (const InvalidGraph& error) {
    return error.what();
  }
  return "";
}

bool mentions(const std::string& text, std::string_view words) {
  return text.find(words) != std::string::npos;
}

// The same graph with node i at place[i], edges in the same argument order.
LooseGraph renumbered(const LooseGraph& graph, const std::vector<NodeId>& place) {
  LooseGraph result;
  std::vector<NodeId> at(place.size());
  for (std::size_t i = 0; i < place.size(); ++i)
    at[static_cast<std::size_t>(place[i])] = static_cast<NodeId>(i);
  for (NodeId old : at) {
    const auto i = static_cast<std::size_t>(old);
    result.op.push_back(graph.op[i]);
    result.attr.push_back(graph.attr[i]);
    for (Offset e = graph.in_ptr[i]; e < graph.in_ptr[i + 1]; ++e)
      result.in_src.push_back(
          place[static_cast<std::size_t>(graph.in_src[static_cast<std::size_t>(e)])]);
    result.in_ptr.push_back(static_cast<Offset>(result.in_src.size()));
  }
  for (NodeId output : graph.outputs)
    result.outputs.push_back(place[static_cast<std::size_t>(output)]);
  return result;
}

LooseGraph loose(const Graph& graph, std::vector<NodeId> outputs) {
  return {graph.op, graph.attr, graph.in_ptr, graph.in_src, std::move(outputs)};
}

TEST_CASE("concatenate keeps node numbers local and graphs whole") {
  const GraphBatch batch = two_graphs();
  CHECK(batch.node_ptr == std::vector<Offset>{0, 3, 6});
  CHECK(batch.in_ptr == std::vector<Offset>{0, 0, 1, 2, 2, 2, 4});
  CHECK(batch.in_src == std::vector<NodeId>{0, 1, 0, 1});
  const GraphView second = batch.view()[1];
  CHECK(testing::op_names(second) == testing::Names{"input", "input", "add"});
  CHECK(second.inputs(2).size() == 2);
  CHECK(complaint(batch) == "");
}

TEST_CASE("an empty batch and an empty graph are well formed") {
  CHECK(complaint(GraphBatch{}) == "");
  const std::vector<Graph> graphs(2);
  CHECK(complaint(concatenate(graphs)) == "");
}

TEST_CASE("validate names what is wrong") {
  GraphBatch batch = two_graphs();
  SUBCASE("attr too short") {
    batch.attr.pop_back();
    CHECK(mentions(complaint(batch), "attr has 5 entries"));
  }
  SUBCASE("no leading zero") {
    batch.in_ptr.clear();
    CHECK(mentions(complaint(batch), "leading 0"));
  }
  SUBCASE("in_ptr too long") {
    batch.in_ptr.push_back(4);
    CHECK(mentions(complaint(batch), "one entry more"));
  }
  SUBCASE("node_ptr ends early") {
    batch.node_ptr.back() = 5;
    CHECK(mentions(complaint(batch), "node_ptr must run"));
  }
  SUBCASE("in_ptr beyond the edges") {
    batch.in_ptr.back() = 5;
    CHECK(mentions(complaint(batch), "in_ptr must run"));
  }
  SUBCASE("node_ptr falls") {
    batch.node_ptr = {0, 7, 6};
    CHECK(mentions(complaint(batch), "node_ptr falls at graph 1"));
  }
  SUBCASE("in_ptr falls") {
    batch.in_ptr[1] = 3;
    CHECK(mentions(complaint(batch), "in_ptr falls at node 1"));
  }
  SUBCASE("unknown operator") {
    batch.op[4] = 60'000;
    CHECK(mentions(complaint(batch), "graph 1, node 1: operator id 60000"));
  }
  SUBCASE("self-loop") {
    batch.in_src[0] = 1;
    CHECK(mentions(complaint(batch), "graph 0, node 1: in-neighbour 1 does not stand before"));
  }
  SUBCASE("negative in-neighbour") {
    batch.in_src[3] = -1;
    CHECK(mentions(complaint(batch), "graph 1, node 2: in-neighbour -1"));
  }
}

TEST_CASE("validate_loose accepts any order but no dangling edge") {
  GraphBatch batch = two_graphs();
  batch.in_src[0] = 2;
  CHECK_NOTHROW(validate_loose(batch.view()));
  batch.in_src[0] = 3;
  CHECK_THROWS_AS(validate_loose(batch.view()), InvalidGraph);
}

TEST_CASE("order_nodes is depth-first post-order, arguments in order") {
  Net net;
  const NodeId x = net.input();
  const NodeId right = net.add("relu", {x}), left = net.add("conv", {x});
  const NodeId dead = net.add("tanh", {x});
  const NodeId sum = net.add("add", {left, right});
  const OrderedGraph ordered = order_nodes(loose(net.graph(), {sum}));
  CHECK(ordered.old_id == std::vector<NodeId>{x, left, right, sum});
  CHECK(std::find(ordered.old_id.begin(), ordered.old_id.end(), dead) == ordered.old_id.end());
}

TEST_CASE("order_nodes does not depend on the numbering") {
  std::mt19937 random(7);
  for (int trial = 0; trial < 50; ++trial) {
    Net net;
    net.input();
    for (NodeId i = 1; i < 20; ++i) {
      std::uniform_int_distribution<NodeId> earlier(0, i - 1);
      net.add(i % 3 == 0 ? "add" : "concat", {earlier(random), earlier(random)});
    }
    const LooseGraph graph = loose(net.graph(), {19, 11});
    std::vector<NodeId> place(20);
    std::iota(place.begin(), place.end(), 0);
    std::shuffle(place.begin(), place.end(), random);
    CHECK(order_nodes(graph).graph == order_nodes(renumbered(graph, place)).graph);
  }
}

TEST_CASE("order_nodes refuses what is not a graph") {
  Net net;
  net.chain(net.input(), {"conv", "relu"});
  LooseGraph graph = loose(net.graph(), {2});
  SUBCASE("cycle") {
    graph.in_src[0] = 2;
    CHECK_THROWS_WITH_AS(order_nodes(graph), doctest::Contains("acyclic"), InvalidGraph);
  }
  SUBCASE("dangling edge") {
    graph.in_src[0] = 3;
    CHECK_THROWS_WITH_AS(order_nodes(graph), doctest::Contains("in-neighbour 3"), InvalidGraph);
  }
  SUBCASE("output that is no node") {
    graph.outputs = {-1};
    CHECK_THROWS_WITH_AS(order_nodes(graph), doctest::Contains("output -1"), InvalidGraph);
  }
  SUBCASE("offsets that fall") {
    graph.in_ptr = {0, 2, 1, 2};
    CHECK_THROWS_AS(order_nodes(graph), InvalidGraph);
  }
  SUBCASE("lengths that differ") {
    graph.attr.pop_back();
    CHECK_THROWS_AS(order_nodes(graph), InvalidGraph);
  }
}

TEST_CASE("a chain as long as the limit needs no deep stack, one node more is refused") {
  LooseGraph chain;
  const auto nodes = static_cast<std::size_t>(kMaxNodes);
  chain.op.assign(nodes, "relu"_op);
  chain.attr.assign(nodes, 0);
  chain.in_ptr.resize(nodes + 1);
  std::iota(chain.in_ptr.begin() + 1, chain.in_ptr.end(), 0);
  chain.in_src.resize(nodes - 1);
  std::iota(chain.in_src.begin(), chain.in_src.end(), 0);
  chain.outputs = {static_cast<NodeId>(nodes) - 1};
  CHECK(order_nodes(chain).graph.op.size() == nodes);
  chain.op.push_back("relu"_op);
  chain.attr.push_back(0);
  chain.in_ptr.push_back(chain.in_ptr.back());
  CHECK_THROWS_WITH_AS(order_nodes(chain), doctest::Contains("at most 2000000"), InvalidGraph);
}

TEST_CASE("consumers_of is the transpose, ascending, with multiplicity") {
  Net net;
  const NodeId x = net.input();
  const NodeId y = net.add("relu", {x});
  net.add("mul", {y, y});
  net.add("add", {x, y});
  const Consumers consumers = consumers_of(net.view());
  const auto of = [&](NodeId node) {
    const auto readers = consumers[node];
    return std::vector<NodeId>(readers.begin(), readers.end());
  };
  CHECK(of(x) == std::vector<NodeId>{1, 3});
  CHECK(of(y) == std::vector<NodeId>{2, 2, 3});
  CHECK(of(2).empty());
}

}  // namespace
}  // namespace narfast
