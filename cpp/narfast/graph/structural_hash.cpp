// Colour refinement in sweeps over the topological order; the hash of the final colours, and the
// order of nodes by them.
#include "narfast/graph/structural_hash.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "narfast/base/parallel.h"
#include "narfast/graph/operators.h"

namespace narfast {
namespace {

// Refinement of a DAG settles in a few sweeps; the bound only guards against a pathological input.
constexpr int kMaxSweeps = 64;

constexpr Hash128 kForward = hash_word(1);
constexpr Hash128 kBackward = hash_word(2);

class Refinement {
 public:
  explicit Refinement(const GraphView& graph)
      : graph_(graph), label_(graph.op.size()), sum_(graph.op.size()) {
    for (std::size_t i = 0; i < label_.size(); ++i)
      label_[i] = hash_word((static_cast<std::uint64_t>(graph.op[i]) << 32) | graph.attr[i]);
  }

  /// Sweeps until no colour class splits any more.
  void settle() {
    std::size_t classes = 0;
    for (int sweeps = 0; sweeps < kMaxSweeps; ++sweeps) {
      sweep();
      const std::size_t now = count_classes();
      if (now == classes || now == label_.size()) break;
      classes = now;
    }
  }

  [[nodiscard]] Hash128 total() const {
    Hash128 sum;
    for (Hash128 label : label_) sum = sum + combine(label, kForward);
    const auto nodes = static_cast<std::uint64_t>(graph_.num_nodes());
    return combine(combine(sum, hash_word(nodes)),
                   hash_word(static_cast<std::uint64_t>(graph_.num_edges())));
  }

  [[nodiscard]] const std::vector<Hash128>& labels() const { return label_; }

 private:
  void sweep() {
    // Forward: every label takes in the renewed labels of its in-neighbours.
    for (NodeId node = 0; node < graph_.num_nodes(); ++node) {
      Hash128 inputs = kForward;
      std::uint64_t position = 0;
      for (NodeId source : graph_.inputs(node))
        inputs = inputs + edge(at(label_, source), node, position++);
      at(label_, node) = combine(at(label_, node), inputs);
    }
    // Backward: all readers of a node have added themselves to its sum before its turn.
    std::fill(sum_.begin(), sum_.end(), kBackward);
    for (NodeId node = graph_.num_nodes() - 1; node >= 0; --node) {
      at(label_, node) = combine(at(label_, node), at(sum_, node));
      std::uint64_t position = 0;
      for (NodeId source : graph_.inputs(node))
        at(sum_, source) = at(sum_, source) + edge(at(label_, node), node, position++);
    }
  }

  // Counts distinct labels by open addressing, as labels are hashes already: sorting would cost
  // more than both passes of a sweep.
  std::size_t count_classes() {
    const std::size_t mask = std::bit_ceil(2 * label_.size() + 1) - 1;
    constexpr Hash128 kVacant{};
    table_.assign(mask + 1, kVacant);
    std::size_t count = 0;
    for (const Hash128 label : label_) {
      std::size_t slot = static_cast<std::size_t>(label.low) & mask;
      while (table_[slot] != label && table_[slot] != kVacant) slot = (slot + 1) & mask;
      count += table_[slot] != label;
      table_[slot] = label;
    }
    return count;
  }

  static Hash128& at(std::vector<Hash128>& labels, NodeId node) {
    return labels[static_cast<std::size_t>(node)];
  }

  // An edge seen from either end: the other end's label, and the argument position if it matters.
  [[nodiscard]] Hash128 edge(Hash128 label, NodeId reader, std::uint64_t position) const {
    const OpId op = graph_.op[static_cast<std::size_t>(reader)];
    return combine(label, hash_word(has_trait(op, trait::kCommutative) ? 0 : position + 1));
  }

  GraphView graph_;
  std::vector<Hash128> label_;
  std::vector<Hash128> sum_;
  std::vector<Hash128> table_;
};

}  // namespace

Hash128 structural_hash(const GraphView& graph) {
  Refinement refinement(graph);
  refinement.settle();
  return refinement.total();
}

std::vector<NodeId> structural_order(const GraphView& graph) {
  Refinement refinement(graph);
  refinement.settle();
  const std::vector<Hash128>& labels = refinement.labels();
  std::vector<NodeId> order(labels.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](NodeId a, NodeId b) {
    return labels[static_cast<std::size_t>(a)] < labels[static_cast<std::size_t>(b)];
  });
  return order;
}

std::vector<Hash128> structural_hash(const GraphBatchView& batch, int num_threads) {
  std::vector<Hash128> hashes(batch.size());
  parallel_for(batch.size(), num_threads,
               [&](std::size_t graph) { hashes[graph] = structural_hash(batch[graph]); });
  return hashes;
}

std::vector<NodeId> structural_order(const GraphBatchView& batch, int num_threads) {
  std::vector<NodeId> order(batch.op.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t graph) {
    const std::vector<NodeId> own = structural_order(batch[graph]);
    std::copy(own.begin(), own.end(), order.begin() + batch.node_ptr[graph]);
  });
  return order;
}

}  // namespace narfast
