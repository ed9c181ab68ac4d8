// The attributes of an operator that belong to a network's design, binned and packed into 32 bits.
// The layout is part of the zoo format: fields may be added in free bits, never moved.
#pragma once

#include <cstdint>

namespace narfast {

/// Unpacked attributes; zero means "does not apply" or "not known" in every field.
struct Attributes {
  int kernel = 0;       // largest side of the window, in elements
  int stride = 0;       // largest stride
  int groups = 0;       // number of groups of a convolution
  int in_channels = 0;  // with groups: to tell depthwise; with out_channels: the ratio
  int out_channels = 0;
  int dilation = 0;             // largest dilation
  int heads = 0;                // attention heads
  int spatial_rank = 0;         // 1, 2 or 3
  bool square = true;           // all sides of the window equal
  bool param_operand = false;   // one operand is a weight tensor of more than one element
  bool scalar_operand = false;  // one operand is a scalar constant
  bool constant_first = false;  // the constant is the first operand
  bool last_axis = false;       // a reduction or softmax over the last axis only
  bool space_axes = false;      // a reduction over all spatial axes
  bool layout_permute = false;  // channels first <-> last, or (rank 3) batch first <-> second
  int constant_class = 0;       // clip(0,6), pow 2, or a vector beside add/sub/mul/div (at most one
                                // side longer than 1: a bias, a scale per channel): 1;
                                // pow 0.5: 2; pow 3: 3
};

namespace attr {
inline constexpr std::uint32_t kKernelMask = 7u;
inline constexpr std::uint32_t kKernelOne = 1u;
inline constexpr std::uint32_t kStrided = 1u << 3;
inline constexpr std::uint32_t kGroupsMask = 3u << 4;
inline constexpr std::uint32_t kGroupsDense = 1u << 4;
inline constexpr std::uint32_t kDilated = 1u << 6;
inline constexpr std::uint32_t kRatioMask = 15u << 7;
inline constexpr std::uint32_t kHeadsMask = 7u << 11;
inline constexpr std::uint32_t kRankMask = 3u << 14;
inline constexpr std::uint32_t kNotSquare = 1u << 16;
inline constexpr std::uint32_t kParamOperand = 1u << 17;
inline constexpr std::uint32_t kScalarOperand = 1u << 18;
inline constexpr std::uint32_t kConstantFirst = 1u << 19;
inline constexpr std::uint32_t kLastAxis = 1u << 20;
inline constexpr std::uint32_t kSpaceAxes = 1u << 21;
inline constexpr std::uint32_t kLayoutPermute = 1u << 22;
inline constexpr std::uint32_t kConstantClassShift = 23;
inline constexpr std::uint32_t kConstantClassMask = 3u << kConstantClassShift;
}  // namespace attr

/// Packs `a` into 32 bits: kernel class 0-2, stride > 1 3, groups 4-5, dilation > 1 6, channel
/// ratio 7-10, heads 11-13, spatial rank 14-15, then the flags in the order of the fields. Values
/// out of range are clamped into the outermost bin.
std::uint32_t pack_attributes(const Attributes& a);

}  // namespace narfast
