// The released splitter on sequences small enough to check by hand.
#include "narfast/motifs/neighbor_sequence.h"

#include <doctest/doctest.h>

#include <numeric>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Net;

TEST_CASE("codes are sets of distances, numbered by first appearance") {
  Net net;
  net.input();             // {}
  net.add("conv", {0});    // {1}
  net.add("gelu", {1});    // {1}, whatever the operator
  net.add("add", {2, 1});  // {1, 2}
  net.add("add", {2, 3});  // {1, 2}, in any order
  net.add("mul", {4, 4});  // {1}, counted once
  net.add("sub", {2});     // {4}
  CHECK(neighbor_codes(net.view()) == std::vector<std::int32_t>{0, 1, 1, 2, 2, 1, 3});
}

TEST_CASE("edges may run backwards") {
  const std::vector<OpId> op(2, 0);
  const std::vector<Attr> attr(2, 0);
  const std::vector<Offset> ptr{0, 1, 2};
  const std::vector<NodeId> src{1, 0};
  CHECK(neighbor_codes({op, attr, ptr, src}) == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("how often a node reads another does not count, near or far") {
  for (const NodeId distance : {1, 70}) {
    const std::size_t inputs = static_cast<std::size_t>(distance);
    const std::vector<OpId> op(inputs + 3, 1);
    const std::vector<Attr> attr(op.size(), 0);
    std::vector<Offset> ptr(inputs + 1, 0);
    std::vector<NodeId> src;
    for (NodeId times = 1; times <= 3; ++times) {
      src.insert(src.end(), static_cast<std::size_t>(times), times - 1);
      ptr.push_back(static_cast<Offset>(src.size()));
    }
    std::vector<std::int32_t> expected(inputs, 0);
    expected.insert(expected.end(), 3, 1);
    CHECK(neighbor_codes({op, attr, ptr, src}) == expected);
  }
}

TEST_CASE("a sequence is cut where pair counts jump") {
  CHECK(cut_sequence({}).empty());
  CHECK(cut_sequence({4}) == std::vector<NodeId>{1});
  CHECK(cut_sequence({4, 4}) == std::vector<NodeId>{2});
  // One pair throughout: no jump at all.
  CHECK(cut_sequence({1, 1, 1, 1}) == std::vector<NodeId>{4});
  // Pairs 01 11 11 12 20 01 11 11: counts 2 4 4 1 1 2 4 4, jumps 2 0 3 0 1 2 0, threshold 2.
  CHECK(cut_sequence({0, 1, 1, 1, 2, 0, 1, 1, 1}) == std::vector<NodeId>{4, 5});
}

TEST_CASE("segment lengths add up to the length of the sequence") {
  std::vector<std::int32_t> codes;
  std::uint32_t state = 1;
  for (int length = 0; length < 200; ++length) {
    const std::vector<NodeId> lengths = cut_sequence(codes);
    CHECK(std::accumulate(lengths.begin(), lengths.end(), 0) == length);
    for (NodeId segment : lengths) CHECK(segment > 0);
    state = state * 1664525u + 1013904223u;
    codes.push_back(static_cast<std::int32_t>(state >> 30));
  }
}

}  // namespace
}  // namespace narfast
