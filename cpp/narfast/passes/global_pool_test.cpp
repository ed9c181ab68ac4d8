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

TEST_CASE("global_pool") {
  SUBCASE("mean and maximum over all of space") {
    Net net;
    const NodeId x = net.input();
    net.add("sub", {net.add("mean", {x}, attr::kSpaceAxes), net.add("max", {x}, attr::kSpaceAxes)});
    net.add("adaptive_avg_pool", {x}, attr::kSpaceAxes | 2);
    const Graph graph = after("global_pool", net);
    CHECK(op_names(graph.view()) ==
          Names{"input", "global_avg_pool", "global_max_pool", "sub", "global_avg_pool"});
    CHECK(graph.attr == std::vector<Attr>(5, 0));
  }
  SUBCASE("mean over one axis, then over the other") {
    Net net;
    net.add("mean", {net.add("mean", {net.add("conv", {net.input()})})}, attr::kLastAxis);
    CHECK(op_names(after("global_pool", net).view()) == Names{"input", "conv", "global_avg_pool"});
  }
  SUBCASE("untouched: over channels, over a grid, sums") {
    Net net;
    const NodeId x = net.input();
    net.add("mean", {x}, attr::kLastAxis);
    net.add("adaptive_avg_pool", {x});
    net.add("sum", {x}, attr::kSpaceAxes);
    CHECK(leaves_alone("global_pool", net));
  }
}

}  // namespace
}  // namespace narfast
