// How exactly two operators must agree to count as equal, and the labels that say it.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "narfast/graph/attributes.h"
#include "narfast/graph/graph.h"

namespace narfast {

enum class MatchLevel : std::uint8_t {
  kExact,   // operator and all packed attributes
  kShapes,  // kernel, stride, dilation, ratio of channels, number of heads and whether the window
            // is square may differ; groups, rank and all flags must agree
  kOperators,  // operators alone
};

/// The bits of packed attributes that count at a level.
[[nodiscard]] constexpr Attr compared_attributes(MatchLevel level) {
  using namespace attr;
  constexpr Attr shapes =
      kKernel.mask() | kStrided | kDilated | kRatio.mask() | kHeads.mask() | kNonSquare;
  switch (level) {
    case MatchLevel::kExact:
      return ~Attr{0};
    case MatchLevel::kShapes:
      return ~shapes;
    case MatchLevel::kOperators:
      break;
  }
  return 0;
}

/// Operator and attributes in one number; nodes of equal labels are equal at the level of the
/// attributes that were kept.
using Label = std::uint64_t;

[[nodiscard]] constexpr Label make_label(OpId op, Attr attributes) {
  return (Label{op} << 32) | attributes;
}

/// The label at a level of a node with this exact label.
[[nodiscard]] constexpr Label label_at(Label exact, MatchLevel level) {
  return exact & ((~Label{0} << 32) | compared_attributes(level));
}

/// The level of a name: exact, shapes or operators. Throws std::invalid_argument listing the names.
[[nodiscard]] inline MatchLevel match_level(std::string_view name) {
  constexpr auto levels = std::to_array<std::pair<std::string_view, MatchLevel>>({
      {"exact", MatchLevel::kExact},
      {"shapes", MatchLevel::kShapes},
      {"operators", MatchLevel::kOperators},
  });
  for (const auto& [known, level] : levels)
    if (known == name) return level;
  throw std::invalid_argument("no level is called '" + std::string(name) +
                              "'; there are exact, shapes, operators");
}

}  // namespace narfast
