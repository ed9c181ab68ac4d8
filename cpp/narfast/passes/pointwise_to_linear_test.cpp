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

TEST_CASE("pointwise_to_linear") {
  const Attributes pointwise{.kernel = 1, .groups = 1, .in_channels = 64, .out_channels = 256};
  SUBCASE("keeps the channel ratio alone") {
    Net net;
    net.add("conv", {net.input()}, pack_attributes(pointwise) | attr::kRank.pack(2));
    const Graph graph = after("pointwise_to_linear", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear"});
    CHECK(graph.attr[1] == pack_attributes({.in_channels = 64, .out_channels = 256}));
  }
  SUBCASE("untouched: strided, grouped, larger") {
    for (Attributes other : {Attributes{.kernel = 1, .stride = 2, .groups = 1},
                             Attributes{.kernel = 1, .groups = 8, .in_channels = 64},
                             Attributes{.kernel = 3, .groups = 1}}) {
      Net net;
      net.add("conv", {net.input()}, pack_attributes(other));
      CHECK(leaves_alone("pointwise_to_linear", net));
    }
  }
}

}  // namespace
}  // namespace narfast
