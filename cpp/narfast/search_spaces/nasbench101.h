// The cells and networks of NAS-Bench-101 (Ying et al., ICML 2019): a cell is a graph of at most
// seven vertices and nine edges with one of three operators on each inner vertex; the network
// repeats it three times in each of three stacks.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "narfast/search_spaces/network_writer.h"

namespace narfast {

enum class Operator101 : std::uint8_t { kConv3x3, kConv1x1, kMaxPool3x3 };
inline constexpr auto kOperatorNames101 =
    std::to_array<std::string_view>({"conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"});

inline constexpr int kMaxVertices101 = 7;
inline constexpr int kMaxEdges101 = 9;

/// A cell as one number, so that a million of them are one array. Numbers are ordered as the
/// benchmark enumerates cells: by vertices, then edges, then operators.
///   bits 31-33: number of vertices; bits 10-30: an edge x -> y at bit x + y(y-1)/2;
///   bits 0-9: two per inner vertex, the first the most significant.
using Cell101 = std::uint64_t;

/// The parts of a cell.
struct CellParts101 {
  int vertices = 0;
  std::uint32_t edges = 0;
  std::uint32_t operators = 0;

  bool has_edge(int source, int target) const {
    return (edges >> (source + target * (target - 1) / 2) & 1u) != 0;
  }
  Operator101 operator_at(int vertex) const {
    return static_cast<Operator101>(operators >> (2 * (vertices - 2 - vertex)) & 3u);
  }
};

/// Takes a cell apart. Throws std::invalid_argument unless it is one of the space: every vertex on
/// a path from the first to the last, at most nine edges, known operators, no other bits.
CellParts101 cell_parts(Cell101 cell);

/// One cell of every class of isomorphic cells, ascending: 423,624. It is the first that the
/// benchmark's own enumeration meets, which decides where uneven channels go. About a second.
std::vector<Cell101> nasbench101_cells();

/// The network of one cell, for images of 32x32 and ten classes. O(nodes).
Network nasbench101_network(Cell101 cell);

/// The first module of the network alone: from 128 channels to as many.
Network nasbench101_module(Cell101 cell);

/// The networks (or the modules) of many cells. The result does not depend on `num_threads`.
NetworkBatch nasbench101_networks(std::span<const Cell101> cells, bool whole, int num_threads);

}  // namespace narfast
