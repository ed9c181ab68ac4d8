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
using testing::Sketch;

TEST_CASE("drop_scalar_scale") {
  SUBCASE("products, quotients and sums with a number go") {
    Net net;
    NodeId x = net.add("relu", {net.input()});
    for (std::string_view op : {"mul", "div", "add", "sub"})
      x = net.add(op, {x}, attr::kScalarOperand);
    net.add("tanh", {x});
    CHECK(op_names(after("drop_scalar_scale", net).view()) == Names{"input", "relu", "tanh"});
  }
  SUBCASE("untouched: one over x, a learnt scale, one minus x") {
    Net net;
    NodeId x = net.input();
    x = net.add("div", {x}, attr::kScalarOperand | attr::kConstantFirst);
    x = net.add("mul", {x}, attr::kParamOperand);
    net.add("sub", {x}, attr::kScalarOperand | attr::kConstantFirst);
    CHECK(leaves_alone("drop_scalar_scale", net));
  }
}

TEST_CASE("drop_scalar_scale: added numbers too, but not one minus x") {
  Sketch s;
  const NodeId sum = s.add("relu", {s.add("add", {s.x}, attr::kScalarOperand)});
  CHECK(s.after({"drop_scalar_scale"}, {sum}) == Names{"input", "relu"});
  const NodeId rest = s.add("sub", {s.x}, attr::kScalarOperand | attr::kConstantFirst);
  CHECK(s.after({"drop_scalar_scale"}, {rest}) == Names{"input", "sub"});
}

}  // namespace
}  // namespace narfast
