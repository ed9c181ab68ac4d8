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

TEST_CASE("fuse_pad") {
  SUBCASE("into convolution and pooling") {
    Net net;
    net.chain(net.input(), {"pad", "conv", "pad", "max_pool"});
    CHECK(op_names(after("fuse_pad", net).view()) == Names{"input", "conv", "max_pool"});
  }
  SUBCASE("the padded value stays for its other readers") {
    Net net;
    const NodeId padded = net.add("pad", {net.input()});
    net.add("sub", {net.add("conv", {padded}), padded});
    const Graph graph = after("fuse_pad", net);
    CHECK(op_names(graph.view()) == Names{"input", "conv", "pad", "sub"});
    CHECK(graph.view().inputs(1).front() == 0);
  }
  SUBCASE("untouched: padding of tokens or windows") {
    Net net;
    net.chain(net.input(), {"pad", "linear", "pad", "attention"});
    CHECK(leaves_alone("fuse_pad", net));
  }
}

}  // namespace
}  // namespace narfast
