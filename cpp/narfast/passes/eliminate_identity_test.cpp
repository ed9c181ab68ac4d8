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

constexpr Attr kParam = attr::kParamOperand;

TEST_CASE("eliminate_identity") {
  SUBCASE("layout and training-time operators go") {
    Net net;
    net.chain(net.input(), {"identity", "conv", "dropout", "reshape", "cast", "relu", "squeeze"});
    CHECK(op_names(after("eliminate_identity", net).view()) == Names{"input", "conv", "relu"});
  }
  SUBCASE("a concatenation of one value goes") {
    Net net;
    net.chain(net.input(), {"concat", "relu"});
    CHECK(op_names(after("eliminate_identity", net).view()) == Names{"input", "relu"});
  }
  SUBCASE("untouched: permutations, and concatenation with a class token") {
    Net net;
    net.add("concat", {net.chain(net.input(), {"permute", "pad"})}, attr::kParamOperand);
    CHECK(leaves_alone("eliminate_identity", net));
  }
}

TEST_CASE("eliminate_identity: a concatenation of one value, unless a constant joins it") {
  Sketch s;
  const NodeId alone = s.add("relu", {s.add("concat", {s.x})});
  CHECK(s.after({"eliminate_identity"}, {alone}) == Names{"input", "relu"});
  const NodeId token = s.add("relu", {s.add("concat", {s.x}, kParam)});
  CHECK(s.after({"eliminate_identity"}, {token}) == Names{"input", "concat", "relu"});
}

}  // namespace
}  // namespace narfast
