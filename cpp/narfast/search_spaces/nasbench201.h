// The networks of NAS-Bench-201 (Dong and Yang, ICLR 2020): one cell of four nodes with an operator
// on each of its six edges, repeated five times in each of three stages.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "narfast/search_spaces/network_writer.h"

namespace narfast::nasbench201 {

enum class Operator : std::uint8_t { kNone, kSkip, kConv1x1, kConv3x3, kAvgPool3x3 };
inline constexpr auto kOperatorNames = std::to_array<std::string_view>(
    {"none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"});

inline constexpr int kEdges = 6;
inline constexpr int kCells = 15'625;  // 5^6

/// The network of one cell, for images of 32x32 and ten classes.
///
/// A cell's number is its six operators as digits of base 5, the first edge's the most significant;
/// edges go by target, then source: 0-1, 0-2, 1-2, 0-3, 1-3, 2-3. `none` edges are left out, and so
/// are edges from unreachable nodes. A cell with an unreachable output is its input times zero.
/// O(nodes). Throws std::invalid_argument for a number out of range.
[[nodiscard]] Network build_network(int cell);

/// The networks of many cells. The result does not depend on `num_threads`.
[[nodiscard]] NetworkBatch build_networks(std::span<const std::int32_t> cells, int num_threads);

}  // namespace narfast::nasbench201
