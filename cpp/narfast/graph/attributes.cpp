// The bins of every attribute.
#include "narfast/graph/attributes.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace narfast {
namespace {

// The layout as zoos have stored it: side by side from bit 0.
constexpr bool is_contiguous() {
  unsigned next = 0;
  for (const attr::Field& field : attr::kLayout) {
    if (field.shift != next) return false;
    next += field.bits;
  }
  return next <= 32;
}
static_assert(is_contiguous());

Attr clamped(const attr::Field& field, int value) {
  return field.pack(static_cast<Attr>(std::clamp(value, 0, static_cast<int>(field.largest()))));
}

int kernel_class(int side) {
  if (side <= 3) return side;
  if (side <= 5) return 4;
  if (side <= 7) return 5;
  return side < 16 ? 6 : 7;
}

int groups_class(const Attributes& a) {
  if (a.groups <= 0) return 0;
  if (a.groups == 1) return 1;
  return a.groups == a.in_channels ? 3 : 2;
}

int ratio_class(int in, int out) {
  if (in <= 0 || out <= 0) return 0;
  const double log_ratio = std::log2(static_cast<double>(out) / static_cast<double>(in));
  return std::max(1, static_cast<int>(std::lround(log_ratio)) + attr::kRatioOne);
}

int heads_class(int heads) {
  return heads <= 0 ? 0 : static_cast<int>(std::bit_width(static_cast<unsigned>(heads)));
}

}  // namespace

Attr pack_attributes(const Attributes& a) {
  Attr bits = clamped(attr::kKernel, kernel_class(a.kernel)) |
              clamped(attr::kGroups, groups_class(a)) |
              clamped(attr::kRatio, ratio_class(a.in_channels, a.out_channels)) |
              clamped(attr::kHeads, heads_class(a.heads)) | clamped(attr::kRank, a.spatial_rank) |
              clamped(attr::kConstantClass, a.constant_class);
  const auto set = [&](bool flag, Attr mask) { bits |= flag ? mask : 0; };
  set(a.stride > 1, attr::kStrided);
  set(a.dilation > 1, attr::kDilated);
  set(!a.square, attr::kNonSquare);
  set(a.param_operand, attr::kParamOperand);
  set(a.scalar_operand, attr::kScalarOperand);
  set(a.constant_first, attr::kConstantFirst);
  set(a.last_axis, attr::kLastAxis);
  set(a.space_axes, attr::kSpaceAxes);
  set(a.layout_permute, attr::kLayoutPermute);
  return bits;
}

}  // namespace narfast
