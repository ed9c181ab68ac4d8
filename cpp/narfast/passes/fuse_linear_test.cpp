// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::after;
using testing::leaves_alone;
using testing::Names;
using testing::Net;
using testing::op_names;

constexpr Attr kVector = attr::kConstantClass.pack(1);

TEST_CASE("fuse_linear") {
  SUBCASE("product with a weight matrix, then a bias") {
    Net net;
    const NodeId product = net.add("matmul", {net.input()}, attr::kParamOperand);
    net.add("add", {product}, attr::kParamOperand | kVector);
    const Graph graph = after("fuse_linear", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear"});
    CHECK(graph.attr[1] == 0);
  }
  SUBCASE("untouched: product of two values, weights from the left") {
    Net net;
    const NodeId x = net.input();
    net.add("matmul", {net.add("matmul", {x, x})}, attr::kParamOperand | attr::kConstantFirst);
    CHECK(leaves_alone("fuse_linear", net));
  }
  SUBCASE("untouched: a position table, a bias of a value that others read") {
    Net net;
    const NodeId tokens = net.add("linear", {net.input()});
    net.add("add", {tokens}, attr::kParamOperand);
    const NodeId shared = net.add("linear", {tokens});
    net.add("sub", {net.add("add", {shared}, attr::kParamOperand | kVector), shared});
    // The bit that tells a vector is not compared afterwards; nodes and edges are as they were.
    const Graph graph = after("fuse_linear", net);
    CHECK(op_names(graph.view()) == op_names(net.view()));
    CHECK(graph.in_src == net.graph().in_src);
  }
}

}  // namespace
}  // namespace narfast
