// Activations written out in primitive operators, and expressions that only look like them.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/passes/canonicalize.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Net;
using testing::op_names;

constexpr Attr kScalar = attr::kScalarOperand;
constexpr Attr kClassOne = attr::kConstantClass.pack(1);

Graph fused(const Net& net) { return canonicalize(net.view(), pass_mask({"fuse_activations"})); }

void check_becomes(std::string_view activation, const Net& net) {
  CHECK(op_names(fused(net).view()) == Names{"input", "conv", activation});
}

void check_untouched(const Net& net) { CHECK(fused(net) == net.graph()); }

// A network whose last value is x = conv(input).
struct AfterConv : Net {
  NodeId x = chain(input(), {"conv"});
};

TEST_CASE("the greater or the smaller of x and a number is a clip") {
  for (const std::string_view op : {"maximum", "minimum"}) {
    Net bound;
    bound.add(op, {bound.chain(bound.input(), {"linear"})}, attr::kScalarOperand);
    CHECK(op_names(canonicalize(bound.view(), pass_mask({"fuse_activations"})).view()) ==
          Names{"input", "linear", "clip"});
    Net learnt;
    learnt.add(op, {learnt.chain(learnt.input(), {"linear"})}, attr::kParamOperand);
    CHECK(canonicalize(learnt.view(), pass_mask({"fuse_activations"})) == learnt.graph());
  }
}

TEST_CASE("x * sigmoid(x) is silu, either way round") {
  AfterConv net, other;
  net.add("mul", {net.x, net.add("sigmoid", {net.x})});
  check_becomes("silu", net);
  other.add("mul", {other.add("sigmoid", {other.x}), other.x});
  check_becomes("silu", other);
}

TEST_CASE("untouched: squeeze and excitation, the gate of another value") {
  AfterConv net;
  const NodeId gate = net.chain(net.x, {"global_avg_pool", "linear", "sigmoid"});
  net.add("mul", {net.x, gate});
  check_untouched(net);
}

TEST_CASE("two pieces of one split: glu") {
  AfterConv net;
  const NodeId pieces = net.add("split", {net.x});
  net.add("mul", {pieces, net.add("sigmoid", {pieces})});
  check_becomes("glu", net);
}

TEST_CASE("clip to [0, 6] is relu6, other clips are not") {
  AfterConv net, other;
  net.add("clip", {net.x}, kClassOne);
  check_becomes("relu6", net);
  other.add("clip", {other.x});
  check_untouched(other);
}

TEST_CASE("relu6(x + 3) / 6 is hardsigmoid") {
  AfterConv net;
  const NodeId inner = net.add("relu6", {net.add("add", {net.x}, kScalar)});
  net.add("div", {inner}, kScalar);
  check_becomes("hardsigmoid", net);
}

TEST_CASE("untouched: relu6 without the shift, or shifted by a weight") {
  AfterConv net, learnt;
  net.add("div", {net.add("relu6", {net.x})}, kScalar);
  check_untouched(net);
  const NodeId shifted = learnt.add("add", {learnt.x}, attr::kParamOperand);
  learnt.add("div", {learnt.add("relu6", {shifted})}, kScalar);
  check_untouched(learnt);
}

TEST_CASE("x * hardsigmoid(x) is hardswish, fused or written out") {
  AfterConv net, out;
  net.add("mul", {net.x, net.add("hardsigmoid", {net.x})});
  check_becomes("hardswish", net);
  const NodeId six = out.add("clip", {out.add("add", {out.x}, kScalar)}, kClassOne);
  out.add("mul", {out.x, out.add("div", {six}, kScalar)});
  check_becomes("hardswish", out);
}

TEST_CASE("x * tanh(softplus(x)) is mish, of another value it is not") {
  AfterConv net, other;
  net.add("mul", {net.x, net.chain(net.x, {"softplus", "tanh"})});
  check_becomes("mish", net);
  other.add("mul", {other.x, other.chain(0, {"softplus", "tanh"})});
  check_untouched(other);
}

TEST_CASE("GELU by the error function") {
  AfterConv net;
  const NodeId erf = net.add("erf", {net.add("div", {net.x}, kScalar)});
  const NodeId half = net.add("mul", {net.x}, kScalar);
  net.add("mul", {half, net.add("add", {erf}, kScalar)});
  check_becomes("gelu", net);
}

TEST_CASE("GELU by tanh") {
  AfterConv net;
  const NodeId cube = net.add("pow", {net.x}, attr::kConstantClass.pack(3));
  const NodeId sum = net.add("add", {net.x, net.add("mul", {cube}, kScalar)});
  const NodeId tanh = net.add("tanh", {net.add("mul", {sum}, kScalar)});
  net.add("mul", {net.add("mul", {net.x}, kScalar), net.add("add", {tanh}, kScalar)});
  check_becomes("gelu", net);
}

TEST_CASE("GELU by x * sigmoid(1.702 x)") {
  AfterConv net;
  net.add("mul", {net.x, net.add("sigmoid", {net.add("mul", {net.x}, kScalar)})});
  check_becomes("gelu", net);
}

TEST_CASE("untouched: a gated tanh unit") {
  AfterConv net;
  const NodeId tanh = net.add("tanh", {net.add("linear", {net.x})});
  net.add("mul", {net.x, net.add("add", {tanh}, kScalar)});
  check_untouched(net);
}

}  // namespace
}  // namespace narfast
