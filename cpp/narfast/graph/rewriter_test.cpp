// Replacing nodes, and what is left after it.
#include "narfast/graph/rewriter.h"

#include <doctest/doctest.h>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Net;
using testing::op_names;

Names names(const Rewriter& rewriter) { return op_names(rewriter.finish().graph.view()); }

TEST_CASE("a graph that nothing changes comes out as it went in") {
  Net net;
  const NodeId x = net.input();
  net.add("add", {net.chain(x, {"conv", "relu"}), x});
  Rewriter rewriter(net.view());
  rewriter.compact();
  CHECK_FALSE(rewriter.changed());
  CHECK(rewriter.finish().graph == net.graph());
}

TEST_CASE("readers of a replaced node read the other") {
  Net net;
  const NodeId x = net.input();
  const NodeId a = net.add("identity", {x});
  const NodeId b = net.add("identity", {a});
  net.add("add", {b, a});
  Rewriter rewriter(net.view());
  rewriter.replace_by(a, x);
  rewriter.replace_by(b, a);
  CHECK(rewriter.changed());
  rewriter.compact();
  CHECK_FALSE(rewriter.changed());
  CHECK(names(rewriter) == Names{"input", "add"});
  CHECK(rewriter.inputs(1) == std::vector<NodeId>{0, 0});
  CHECK(rewriter.uses(0) == 2);
  CHECK(rewriter.uses(1) == 1);  // by the world outside
}

TEST_CASE("what no output needs is dropped") {
  Net net;
  const NodeId x = net.input();
  const NodeId unused = net.add("tanh", {x});
  const NodeId y = net.add("mul", {x, unused});
  Rewriter rewriter(net.view());
  rewriter.become(y, "gelu"_op, 7, {x});
  rewriter.compact();
  CHECK(names(rewriter) == Names{"input", "gelu"});
  CHECK(rewriter.attr(1) == 7);
}

TEST_CASE("becoming what it is already changes nothing") {
  Net net;
  const NodeId x = net.add("relu", {net.input()}, 3);
  Rewriter rewriter(net.view());
  rewriter.become(x, "relu"_op, 3, {0});
  rewriter.set_attr(x, 3);
  rewriter.set_inputs(x, {0});
  CHECK_FALSE(rewriter.changed());
  rewriter.set_attr(x, 2);
  CHECK(rewriter.changed());
}

TEST_CASE("an output replaced by a node with readers is no output any more") {
  // Else a second run over the result, which cannot know, would see other use counts and order.
  Net net;
  const NodeId x = net.add("conv", {net.input()});
  const NodeId first_output = net.add("identity", {x});
  net.add("sub", {net.chain(net.input(), {"tanh"}), x});
  Rewriter rewriter(net.view());
  rewriter.replace_by(first_output, x);
  rewriter.compact();
  const Graph once = rewriter.finish().graph;
  CHECK(op_names(once.view()) == Names{"input", "tanh", "input", "conv", "sub"});
  CHECK(Rewriter(once.view()).finish().graph == once);
}

TEST_CASE("a dropped node stands behind what replaced it or read it last") {
  Net net;
  const NodeId x = net.input();
  const NodeId a = net.add("identity", {x});  // replaced by the input
  const NodeId b = net.add("exp", {a});       // read by c alone, which ceases to read it
  const NodeId c = net.add("sigmoid", {b});
  const NodeId d = net.add("log", {b});  // read by nobody but e, which is dropped too
  const NodeId e = net.add("mul", {c, d});
  net.add("relu", {e});
  Rewriter rewriter(net.view());
  rewriter.replace_by(a, x);
  rewriter.become(c, "tanh"_op, 0, {x});
  rewriter.replace_by(e, c);
  rewriter.compact();
  const auto [graph, origins] = rewriter.finish();
  REQUIRE(op_names(graph.view()) == Names{"input", "tanh", "relu"});
  const auto behind = [&](NodeId node) {
    const auto row = origins.nodes[node];
    return std::vector<NodeId>(row.begin(), row.end());
  };
  CHECK(behind(0) == std::vector<NodeId>{x, a});
  CHECK(behind(1) == std::vector<NodeId>{c, b, d, e});
  CHECK(behind(2) == std::vector<NodeId>{6});
}

TEST_CASE("nodes that exchange their roles hand over what stands behind them") {
  Net net;
  const NodeId x = net.input();
  const NodeId a = net.add("linear", {x}), b = net.add("linear", {x});
  net.add("add", {a, b});
  Rewriter rewriter(net.view());
  rewriter.hand_over(a, b);
  rewriter.hand_over(b, a);
  rewriter.become(b, "relu"_op, 0, {x});
  rewriter.compact();
  const auto [graph, origins] = rewriter.finish();
  REQUIRE(op_names(graph.view()) == Names{"input", "linear", "relu", "add"});
  CHECK(origins.nodes[1].front() == b);
  CHECK(origins.nodes[2].front() == a);
}

}  // namespace
}  // namespace narfast
