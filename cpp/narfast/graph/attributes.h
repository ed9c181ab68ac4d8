// The attributes of an operator that belong to a network's design, binned and packed into 32 bits.
// The layout is part of the zoo format: fields may be added in free bits, never moved.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string_view>

#include "narfast/graph/graph.h"

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

/// A field of packed attributes.
struct Field {
  std::string_view name;
  unsigned shift;
  unsigned bits;

  [[nodiscard]] constexpr Attr largest() const { return (Attr{1} << bits) - 1; }
  [[nodiscard]] constexpr Attr mask() const { return largest() << shift; }
  /// The packed form of one value, at most `largest()`.
  [[nodiscard]] constexpr Attr pack(Attr value) const { return value << shift; }
  [[nodiscard]] constexpr Attr unpack(Attr packed) const { return (packed & mask()) >> shift; }
};

/// The fields in the order of their bits.
inline constexpr auto kLayout = std::to_array<Field>({
    {"kernel", 0, 3},          // class of the side: 0 to 3, 4-5, 6-7, 8-15, above
    {"stride", 3, 1},          // above 1
    {"groups", 4, 2},          // dense, grouped, depthwise
    {"dilation", 6, 1},        // above 1
    {"channel_ratio", 7, 4},   // 8 + rounded log2(out / in)
    {"heads", 11, 3},          // number of binary digits
    {"rank", 14, 2},           // of space
    {"non_square", 16, 1},     // unequal sides of the window
    {"param_operand", 17, 1},  // from here on see Attributes
    {"scalar_operand", 18, 1},
    {"constant_first", 19, 1},
    {"last_axis", 20, 1},
    {"space_axes", 21, 1},
    {"layout_permute", 22, 1},
    {"constant_class", 23, 2},
});

/// The field of a name. A name outside the layout does not compile.
[[nodiscard]] consteval Field field(std::string_view name) {
  for (const Field& known : kLayout)
    if (known.name == name) return known;
  throw std::logic_error("the layout of attributes has no such field");
}

inline constexpr Field kKernel = field("kernel");
inline constexpr Field kGroups = field("groups");
inline constexpr Field kRatio = field("channel_ratio");
inline constexpr Field kHeads = field("heads");
inline constexpr Field kRank = field("rank");
inline constexpr Field kConstantClass = field("constant_class");
// Flags, as masks.
inline constexpr Attr kStrided = field("stride").mask();
inline constexpr Attr kDilated = field("dilation").mask();
inline constexpr Attr kNonSquare = field("non_square").mask();
inline constexpr Attr kParamOperand = field("param_operand").mask();
inline constexpr Attr kScalarOperand = field("scalar_operand").mask();
inline constexpr Attr kConstantFirst = field("constant_first").mask();
inline constexpr Attr kLastAxis = field("last_axis").mask();
inline constexpr Attr kSpaceAxes = field("space_axes").mask();
inline constexpr Attr kLayoutPermute = field("layout_permute").mask();

inline constexpr Attr kKernelOne = kKernel.pack(1);
inline constexpr Attr kGroupsDense = kGroups.pack(1);

/// The bin of the ratio 1. Each bin doubles the ratio of the bin below; bin 0 means unknown.
inline constexpr int kRatioOne = 8;

}  // namespace attr

/// Packs `a` into 32 bits by `attr::kLayout`. Values out of range fall into the outermost bin.
[[nodiscard]] Attr pack_attributes(const Attributes& a);

}  // namespace narfast
