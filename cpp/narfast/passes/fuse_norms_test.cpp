// Normalizations written out in primitive operators, and expressions that only look like them.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::Names;
using testing::Net;
using testing::op_names;
using testing::Sketch;

constexpr Attr kScalar = attr::kScalarOperand;
constexpr Attr kParam = attr::kParamOperand;
constexpr Attr kSquare = attr::kConstantClass.pack(1);
constexpr Attr kRoot = attr::kConstantClass.pack(2);

Graph fused(const Net& net) { return canonicalize(net.view(), pass_mask({"fuse_norms"})); }

void check_becomes(std::string_view norm, const Net& net) {
  CHECK(op_names(fused(net).view()) == Names{"input", "linear", norm});
}

void check_untouched(const Net& net) { CHECK(fused(net) == net.graph()); }

struct AfterLinear : Net {
  NodeId x = chain(input(), {"linear"});

  NodeId centred() { return add("sub", {x, add("mean", {x}, attr::kLastAxis)}); }
  NodeId variance_of(NodeId y) { return add("mean", {add("pow", {y}, kSquare)}, attr::kLastAxis); }
  NodeId with_epsilon(NodeId y) { return add("add", {y}, kScalar); }
};

TEST_CASE("layer norm: centred over the root of the variance, scale and shift absorbed") {
  AfterLinear net;
  const NodeId y = net.centred();
  const NodeId root = net.add("sqrt", {net.with_epsilon(net.variance_of(y))});
  const NodeId norm = net.add("div", {y, root});
  net.add("add", {net.add("mul", {norm}, kParam)}, kParam);
  check_becomes("layer_norm", net);
}

TEST_CASE("layer norm: by pow(1/2), by rsqrt, by reciprocal, by variance") {
  SUBCASE("pow") {
    AfterLinear net;
    const NodeId y = net.centred();
    net.add("div", {y, net.add("pow", {net.with_epsilon(net.variance_of(y))}, kRoot)});
    check_becomes("layer_norm", net);
  }
  SUBCASE("rsqrt, the product either way round, the mean taken twice") {
    AfterLinear net;
    const NodeId root = net.add("rsqrt", {net.with_epsilon(net.variance_of(net.centred()))});
    net.add("mul", {root, net.centred()});
    check_becomes("layer_norm", net);
  }
  SUBCASE("reciprocal") {
    AfterLinear net;
    const NodeId y = net.centred();
    const NodeId root = net.add("sqrt", {net.with_epsilon(net.variance_of(y))});
    net.add("mul", {y, net.add("reciprocal", {root})});
    check_becomes("layer_norm", net);
  }
  SUBCASE("variance as one operator") {
    AfterLinear net;
    const NodeId variance = net.add("variance", {net.x}, attr::kLastAxis);
    net.add("div", {net.centred(), net.add("sqrt", {net.with_epsilon(variance)})});
    check_becomes("layer_norm", net);
  }
}

TEST_CASE("RMS norm: by the variance of what is not centred") {
  AfterLinear net;
  const NodeId variance = net.add("variance", {net.x}, attr::kLastAxis);
  net.add("mul", {net.x, net.add("rsqrt", {net.with_epsilon(variance)})});
  check_becomes("rms_norm", net);
}

TEST_CASE("layer norm: by the variance of what is centred already") {
  AfterLinear net;
  const NodeId y = net.centred();
  const NodeId variance = net.add("variance", {y}, attr::kLastAxis);
  net.add("div", {y, net.add("sqrt", {net.with_epsilon(variance)})});
  check_becomes("layer_norm", net);
}

TEST_CASE("no norm: divided by the root of another variance") {
  AfterLinear net;
  const NodeId other = net.add("relu", {net.x});
  const NodeId variance = net.add("variance", {other}, attr::kLastAxis);
  net.add("div", {net.x, net.add("sqrt", {net.with_epsilon(variance)})});
  check_untouched(net);
}

TEST_CASE("one over a root is rsqrt, however it is spelt") {
  constexpr Attr kOneOver = attr::kScalarOperand | attr::kConstantFirst;
  for (const bool divided : {false, true}) {
    AfterLinear net;
    const NodeId root = net.add("sqrt", {net.x});
    net.add("mul",
            {net.x, divided ? net.add("div", {root}, kOneOver) : net.add("reciprocal", {root})});
    CHECK(op_names(fused(net).view()) == Names{"input", "linear", "rsqrt", "mul"});
  }
  AfterLinear net;  // the root over a number
  net.add("div", {net.add("sqrt", {net.x})}, kScalar);
  check_untouched(net);
}

TEST_CASE("RMS norm: not centred") {
  SUBCASE("rsqrt and pow") {
    AfterLinear net;
    const NodeId norm =
        net.add("mul", {net.x, net.add("rsqrt", {net.with_epsilon(net.variance_of(net.x))})});
    net.add("mul", {norm}, kParam);
    check_becomes("rms_norm", net);
  }
  SUBCASE("x * x, 1 / sqrt") {
    AfterLinear net;
    const NodeId mean = net.add("mean", {net.add("mul", {net.x, net.x})}, attr::kLastAxis);
    const NodeId root = net.add("sqrt", {net.with_epsilon(mean)});
    net.add("mul", {net.x, net.add("div", {root}, kScalar | attr::kConstantFirst)});
    check_becomes("rms_norm", net);
  }
}

TEST_CASE("instance norm with a second scale and shift is group norm") {
  AfterLinear net;
  const NodeId norm = net.add("instance_norm", {net.x});
  net.add("add", {net.add("mul", {norm}, kParam)}, kParam);
  check_becomes("group_norm", net);
}

TEST_CASE("l2 norm: over the clipped length") {
  AfterLinear net;
  const NodeId length = net.add("norm", {net.x}, attr::kLastAxis);
  net.add("div", {net.x, net.add("clip", {length}, kScalar)});
  check_becomes("l2_norm", net);
}

TEST_CASE("l2 norm: over the root of the sum of squares") {
  AfterLinear net;
  const NodeId squares = net.add("pow", {net.x}, attr::kConstantClass.pack(1));
  const NodeId sum = net.add("sum", {squares}, attr::kLastAxis);
  net.add("div", {net.x, net.add("sqrt", {sum})});
  check_becomes("l2_norm", net);
}

TEST_CASE("untouched: centring alone, and division by the root of something else") {
  AfterLinear net;
  const NodeId y = net.centred();
  net.add("div", {y, net.add("sqrt", {net.add("linear", {y})})});
  check_untouched(net);
}

TEST_CASE("untouched: the root mean square of another value") {
  AfterLinear net;
  const NodeId other = net.add("relu", {net.x});
  net.add("div", {net.x, net.add("sqrt", {net.with_epsilon(net.variance_of(other))})});
  check_untouched(net);
}

TEST_CASE("untouched: a scale after a norm that others read too, scaling by a number") {
  AfterLinear net;
  const NodeId norm = net.add("layer_norm", {net.x});
  const NodeId scaled = net.add("mul", {norm}, kParam);
  net.add("sub", {scaled, net.add("mul", {net.add("rms_norm", {norm})}, kScalar)});
  check_untouched(net);
}

TEST_CASE("the mean of the centred square is the variance") {
  Sketch s;
  const NodeId mean = s.add("mean", {s.x}, attr::kSpaceAxes);
  const NodeId centred = s.add("sub", {s.x, mean});
  const NodeId squares = s.add("mul", {centred, centred});
  CHECK(s.after({"fuse_norms"}, {s.add("mean", {squares}, attr::kSpaceAxes)}) ==
        Names{"input", "variance"});
  const NodeId raw = s.add("mean", {s.add("mul", {s.x, s.x})});
  CHECK(s.after({"fuse_norms"}, {raw}) == Names{"input", "mul", "mean"});
}

}  // namespace
}  // namespace narfast
