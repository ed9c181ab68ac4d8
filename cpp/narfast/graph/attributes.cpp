// The bins of every attribute.
#include "narfast/graph/attributes.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace narfast {
namespace {

std::uint32_t kernel_class(int side) {
  if (side <= 0) return 0;
  if (side <= 3) return static_cast<std::uint32_t>(side);
  if (side <= 5) return 4;
  if (side <= 7) return 5;
  return side < 16 ? 6 : 7;
}

std::uint32_t groups_class(const Attributes& a) {
  if (a.groups <= 0) return 0;
  if (a.groups == 1) return 1;
  return a.groups == a.in_channels ? 3 : 2;
}

std::uint32_t ratio_class(int in, int out) {
  if (in <= 0 || out <= 0) return 0;
  const double log_ratio = std::log2(static_cast<double>(out) / static_cast<double>(in));
  return static_cast<std::uint32_t>(std::clamp(static_cast<int>(std::lround(log_ratio)), -7, 7) +
                                    8);
}

std::uint32_t heads_class(int heads) {
  if (heads <= 0) return 0;
  return std::min(7u, static_cast<std::uint32_t>(std::bit_width(static_cast<unsigned>(heads))));
}

}  // namespace

std::uint32_t pack_attributes(const Attributes& a) {
  std::uint32_t bits = kernel_class(a.kernel);
  if (a.stride > 1) bits |= attr::kStrided;
  bits |= groups_class(a) << 4;
  if (a.dilation > 1) bits |= attr::kDilated;
  bits |= ratio_class(a.in_channels, a.out_channels) << 7;
  bits |= heads_class(a.heads) << 11;
  bits |= static_cast<std::uint32_t>(std::clamp(a.spatial_rank, 0, 3)) << 14;
  if (!a.square) bits |= attr::kNotSquare;
  if (a.param_operand) bits |= attr::kParamOperand;
  if (a.scalar_operand) bits |= attr::kScalarOperand;
  if (a.constant_first) bits |= attr::kConstantFirst;
  if (a.last_axis) bits |= attr::kLastAxis;
  if (a.space_axes) bits |= attr::kSpaceAxes;
  if (a.layout_permute) bits |= attr::kLayoutPermute;
  bits |= static_cast<std::uint32_t>(std::clamp(a.constant_class, 0, 3))
          << attr::kConstantClassShift;
  return bits;
}

}  // namespace narfast
