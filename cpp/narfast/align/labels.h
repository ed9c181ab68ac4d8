// One of two graphs that are aligned: its readers, and a label of rising radius for each node. And
// the groups of nodes that share a label. A part of align.cpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "narfast/graph/operators.h"

namespace narfast::align_detail {

// Level 0 is the operator, level 1 adds its attributes, each level above a neighbourhood of one
// step more.
inline constexpr int kLevels = 9;
inline constexpr std::size_t kFan = 8;  // neighbours that are compared with one another

constexpr std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0x9e3779b97f4a7c15U;
  x ^= x >> 29;
  x *= 0xbf58476d1ce4e5b9U;
  return x ^ (x >> 32);
}

// How much an operator says about where a block is: layers with weights more than arithmetic.
inline int importance(OpId op) {
  switch (operator_table()[op].category) {
    case Category::kConvolution:
    case Category::kLinear:
    case Category::kAttention:
    case Category::kRecurrent:
      return 8;
    case Category::kNormalization:
      return 4;
    case Category::kActivation:
    case Category::kPooling:
      return 3;
    default:
      return 1;
  }
}

// One of the two graphs, with its readers and its labels.
struct Side {
  explicit Side(const GraphView& view)
      : graph(view), readers(consumers_of(view)), nodes(view.num_nodes()) {
    labels.resize(index(nodes) * kLevels);
  }

  // Nodes of different parts have nothing in common; without parts, all are in one.
  void set_labels(std::span<const std::int32_t> part) {
    for (NodeId node = 0; node < nodes; ++node) {
      // The sum of two branches and the sum with a learnt vector are two things.
      const OpId op = graph.op[index(node)];
      const bool joins = importance(op) == 1 && graph.inputs(node).size() > 1;
      label(node, 0) = mix(2U * op + (joins ? 1U : 0U) + 1U);
      if (!part.empty()) label(node, 0) += mix(static_cast<std::uint64_t>(part[index(node)]));
      label(node, 1) = mix(label(node, 0) + graph.attr[index(node)]);
    }
    for (int level = 2; level < kLevels; ++level) {
      for (NodeId node = 0; node < nodes; ++node) {
        std::uint64_t sum = 0;
        for (const NodeId source : graph.inputs(node)) sum += mix(label(source, level - 1) + 1);
        for (const NodeId reader : readers[node]) sum += mix(label(reader, level - 1) + 2);
        label(node, level) = mix(label(node, level - 1) * 3 + sum);
      }
    }
  }

  [[nodiscard]] std::uint64_t& label(NodeId node, int level) {
    return labels[index(node) * kLevels + index(level)];
  }
  [[nodiscard]] std::uint64_t label(NodeId node, int level) const {
    return labels[index(node) * kLevels + index(level)];
  }

  [[nodiscard]] bool reads(NodeId node, NodeId source) const {
    const auto inputs = graph.inputs(node);
    if (inputs.size() <= kFan)
      return std::find(inputs.begin(), inputs.end(), source) != inputs.end();
    const auto all = readers[source];  // ascending
    return std::binary_search(all.begin(), all.end(), node);
  }

  GraphView graph;
  Consumers readers;
  NodeId nodes;
  std::vector<std::uint64_t> labels;
};

// Groups of unmatched nodes by label, through a table of labels.
class LabelGroups {
 public:
  using Nodes = std::span<const NodeId>;

  // Nodes of one label in both graphs, by place in `nodes` of the two sides.
  struct Group {
    std::uint64_t label;
    std::uint32_t size_a = 0, size_b = 0;
    std::uint32_t end_a = 0, end_b = 0;
  };

  void build(const Side& a, const Side& b, Nodes open_a, Nodes open_b, int level) {
    groups_.clear();
    slots_.assign(std::bit_ceil(2 * open_a.size() + 2), -1);
    of_a_.resize(open_a.size());
    of_b_.resize(open_b.size());
    for (std::size_t i = 0; i < open_a.size(); ++i) {
      const std::uint64_t label = a.label(open_a[i], level);
      std::int32_t& group = slots_[slot_of(label)];
      if (group < 0) {
        group = static_cast<std::int32_t>(groups_.size());
        groups_.push_back({label});
      }
      ++groups_[index(of_a_[i] = group)].size_a;
    }
    for (std::size_t i = 0; i < open_b.size(); ++i) {
      of_b_[i] = slots_[slot_of(b.label(open_b[i], level))];
      if (of_b_[i] >= 0) ++groups_[index(of_b_[i])].size_b;
    }
    std::uint32_t size_a = 0, size_b = 0;
    for (Group& group : groups_) {
      group.end_a = size_a;
      group.end_b = size_b;
      size_a += group.size_a;
      size_b += group.size_b;
    }
    nodes_a_.resize(size_a);
    nodes_b_.resize(size_b);
    for (std::size_t i = 0; i < open_a.size(); ++i)
      nodes_a_[groups_[index(of_a_[i])].end_a++] = open_a[i];
    for (std::size_t i = 0; i < open_b.size(); ++i)
      if (of_b_[i] >= 0) nodes_b_[groups_[index(of_b_[i])].end_b++] = open_b[i];
  }

  // In the order in which the labels appear in a.
  [[nodiscard]] std::span<const Group> all() const { return groups_; }
  [[nodiscard]] Nodes nodes_of_a(const Group& group) const {
    return Nodes(nodes_a_).subspan(group.end_a - group.size_a, group.size_a);
  }
  [[nodiscard]] Nodes nodes_of_b(const Group& group) const {
    return Nodes(nodes_b_).subspan(group.end_b - group.size_b, group.size_b);
  }

 private:
  // The slot that holds the label, or the empty one where it belongs.
  [[nodiscard]] std::size_t slot_of(std::uint64_t label) const {
    std::size_t slot = label & (slots_.size() - 1);
    while (slots_[slot] >= 0 && groups_[index(slots_[slot])].label != label)
      slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }

  std::vector<Group> groups_;
  std::vector<std::int32_t> slots_, of_a_, of_b_;
  std::vector<NodeId> nodes_a_, nodes_b_;
};

}  // namespace narfast::align_detail
