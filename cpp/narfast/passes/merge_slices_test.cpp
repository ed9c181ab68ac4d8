// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::after;
using testing::leaves_alone;
using testing::Names;
using testing::Net;
using testing::op_names;

TEST_CASE("merge_slices") {
  SUBCASE("slices of one value become one split") {
    Net net;
    const NodeId qkv = net.add("linear", {net.input()});
    net.add("attention",
            {net.add("slice", {qkv}), net.add("slice", {qkv}), net.add("split", {qkv})});
    const Graph graph = after("merge_slices", net);
    CHECK(op_names(graph.view()) == Names{"input", "linear", "split", "attention"});
    CHECK(graph.view().inputs(3).size() == 3);
  }
  SUBCASE("untouched: a lone slice, and slices of different values") {
    Net net;
    const NodeId x = net.input();
    net.add("add", {net.add("slice", {x}), net.add("slice", {net.add("relu", {x})})});
    CHECK(leaves_alone("merge_slices", net));
  }
}

}  // namespace
}  // namespace narfast
