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

TEST_CASE("fold_parameters") {
  SUBCASE("an operand computed from constants becomes an attribute") {
    Net net;
    const NodeId x = net.input();
    const NodeId table = net.chain(net.add("constant", {}), {"sin"});
    net.add("add", {x, table});
    const Graph graph = after("fold_parameters", net);
    CHECK(op_names(graph.view()) == Names{"input", "add"});
    CHECK(graph.attr[1] == attr::kParamOperand);
  }
  SUBCASE("the side of the constant counts where arguments are not alike") {
    for (const std::string_view op : {"sub", "mul"}) {
      Net net;
      const NodeId constant = net.add("constant", {});
      net.add(op, {constant, net.input()});
      CHECK(((after("fold_parameters", net).attr[1] & attr::kConstantFirst) != 0) == (op == "sub"));
    }
  }
  SUBCASE("weights of a convolution are implied") {
    Net net;
    const NodeId weights = net.chain(net.add("constant", {}), {"sub"});
    net.add("conv", {net.input(), weights}, 3);
    const Graph graph = after("fold_parameters", net);
    CHECK(op_names(graph.view()) == Names{"input", "conv"});
    CHECK(graph.attr[1] == 3);
  }
  SUBCASE("untouched: an embedding is a source") {
    Net net;
    net.add("add", {net.add("embedding", {}), net.input()});
    CHECK(leaves_alone("fold_parameters", net));
  }
  SUBCASE("untouched: without any source, what has no input is one") {
    Net net;
    net.chain(net.add("constant", {}), {"relu"});
    CHECK(leaves_alone("fold_parameters", net));
  }
}

}  // namespace
}  // namespace narfast
