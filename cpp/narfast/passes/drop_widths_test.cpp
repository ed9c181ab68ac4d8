// What the pass does, and what it must not touch.
#include <doctest/doctest.h>

#include "narfast/graph/attributes.h"
#include "narfast/testing/pass_checks.h"

namespace narfast {
namespace {

using testing::after;
using testing::leaves_alone;
using testing::Net;

TEST_CASE("drop_concat_ratio") {
  const Attr ratio = pack_attributes({.in_channels = 96, .out_channels = 32});
  SUBCASE("of layers that read a concatenation, or what will be concatenated") {
    Net net;
    const NodeId x = net.input();
    const NodeId y = net.add("conv", {x}, ratio | 3);
    const NodeId both = net.add("concat", {x, y});
    net.add("conv", {net.chain(both, {"batch_norm", "relu"})}, ratio | 3);
    const Graph graph = after("drop_concat_ratio", net);
    CHECK(graph.attr == std::vector<Attr>{0, 3, 0, 0, 0, 3});
  }
  SUBCASE("untouched: layers elsewhere") {
    Net net;
    net.add("add", {net.add("conv", {net.input()}, ratio), net.add("linear", {0}, ratio)});
    CHECK(leaves_alone("drop_concat_ratio", net));
  }
}

TEST_CASE("drop_stem_and_head_widths") {
  const Attr ratio = pack_attributes({.in_channels = 96, .out_channels = 32});
  Net net;
  const NodeId stem = net.add("conv", {net.input()}, ratio | 3);
  const NodeId middle = net.add("linear", {net.chain(stem, {"relu"})}, ratio);
  net.add("linear", {net.chain(middle, {"relu"})}, ratio);
  CHECK(after("drop_stem_and_head_widths", net).attr == std::vector<Attr>{0, 3, 0, ratio, 0, 0});
}

}  // namespace
}  // namespace narfast
