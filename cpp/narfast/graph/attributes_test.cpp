// Bins and bit positions: they are part of the zoo format, so the numbers stand here in full.
#include "narfast/graph/attributes.h"

#include <doctest/doctest.h>

#include <iterator>

namespace narfast {
namespace {

TEST_CASE("nothing known packs to zero") { CHECK(pack_attributes({}) == 0); }

TEST_CASE("every flag has the bit of the zoo format") {
  CHECK(pack_attributes({.stride = 2}) == 1u << 3);
  CHECK(pack_attributes({.dilation = 2}) == 1u << 6);
  CHECK(pack_attributes({.square = false}) == 1u << 16);
  CHECK(pack_attributes({.param_operand = true}) == 1u << 17);
  CHECK(pack_attributes({.scalar_operand = true}) == 1u << 18);
  CHECK(pack_attributes({.constant_first = true}) == 1u << 19);
  CHECK(pack_attributes({.last_axis = true}) == 1u << 20);
  CHECK(pack_attributes({.space_axes = true}) == 1u << 21);
  CHECK(pack_attributes({.layout_permute = true}) == 1u << 22);
  CHECK(pack_attributes({.spatial_rank = 3}) == 3u << 14);
  CHECK(pack_attributes({.constant_class = 3}) == 3u << 23);
}

TEST_CASE("a field is packed and unpacked") {
  CHECK(attr::kRatio.mask() == 15u << 7);
  CHECK(attr::kRatio.unpack(attr::kRatio.pack(9) | attr::kStrided | attr::kParamOperand) == 9);
  CHECK(attr::kRatio.largest() == 15);
}

TEST_CASE("stride and dilation of one are no attribute") {
  CHECK(pack_attributes({.stride = 1, .dilation = 1}) == 0);
}

TEST_CASE("kernels fall into classes") {
  const int sides[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 1000};
  const unsigned classes[] = {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7};
  for (std::size_t i = 0; i < std::size(sides); ++i)
    CHECK(pack_attributes({.kernel = sides[i]}) == classes[i]);
}

TEST_CASE("groups: dense, grouped, depthwise") {
  CHECK(pack_attributes({.groups = 1, .in_channels = 1}) == 1u << 4);
  CHECK(pack_attributes({.groups = 4, .in_channels = 64}) == 2u << 4);
  CHECK(pack_attributes({.groups = 64, .in_channels = 64}) == 3u << 4);
}

TEST_CASE("the channel ratio is the rounded binary logarithm, clamped") {
  const auto ratio = [](int in, int out) {
    return static_cast<int>(pack_attributes({.in_channels = in, .out_channels = out}) >> 7) - 8;
  };
  CHECK(ratio(64, 64) == 0);
  CHECK(ratio(64, 256) == 2);
  CHECK(ratio(256, 64) == -2);
  CHECK(ratio(100, 141) == 0);
  CHECK(ratio(100, 142) == 1);
  CHECK(ratio(1, 100'000) == 7);
  CHECK(ratio(100'000, 1) == -7);
  CHECK(pack_attributes({.in_channels = 64}) == 0);
}

TEST_CASE("heads fall into powers of two") {
  const int heads[] = {0, 1, 2, 3, 4, 8, 12, 16, 32, 63, 64, 128};
  const unsigned bins[] = {0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 7};
  for (std::size_t i = 0; i < std::size(heads); ++i)
    CHECK(pack_attributes({.heads = heads[i]}) == bins[i] << 11);
}

TEST_CASE("values out of range are clamped") {
  CHECK(pack_attributes({.kernel = -3, .stride = -1, .groups = -2, .heads = -1}) == 0);
  CHECK(pack_attributes({.spatial_rank = 9}) == 3u << 14);
  CHECK(pack_attributes({.constant_class = 9}) == 3u << 23);
}

}  // namespace
}  // namespace narfast
