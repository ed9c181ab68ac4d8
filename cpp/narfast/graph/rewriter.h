// A graph under rewriting. Passes visit its nodes in topological order, and either replace a node
// by an earlier one or turn it, in place, into another operator; `compact` then drops unread nodes.
// The rewriter remembers which operators of the first graph stand behind each node.
#pragma once

#include <cstdint>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hyperparameters.h"
#include "narfast/graph/operators.h"

namespace narfast {

class Rewriter {
 public:
  /// Takes a topologically ordered graph; nodes without a reader are its outputs.
  explicit Rewriter(const GraphView& graph);

  [[nodiscard]] NodeId size() const { return static_cast<NodeId>(op_.size()); }
  [[nodiscard]] OpId op(NodeId node) const { return op_[index(node)]; }
  [[nodiscard]] Attr attr(NodeId node) const { return attr_[index(node)]; }
  [[nodiscard]] bool has_attr(NodeId node, Attr bits) const { return (attr(node) & bits) != 0; }
  /// In-neighbours, with replaced nodes already resolved.
  [[nodiscard]] const std::vector<NodeId>& inputs(NodeId node) const {
    return inputs_[index(node)];
  }
  /// Upper bound on the number of readers (edges and network outputs); exact after `compact`.
  [[nodiscard]] std::int32_t uses(NodeId node) const { return uses_[index(node)]; }

  /// From now on every reader of `node` reads `other`, an earlier node, instead.
  void replace_by(NodeId node, NodeId other);
  /// The same, where `node` is not swallowed but stands beside `other`, as parts of one layer.
  void join(NodeId node, NodeId other);
  /// The operators behind `from` stand behind `heir` from the next `compact` on; for passes that
  /// exchange the roles of nodes. `beside` is as in `join`. `heir` descends from the first `from`.
  void hand_over(NodeId from, NodeId heir, bool beside = false);
  /// Turns `node` into another operator; its inputs must be earlier nodes.
  void become(NodeId node, OpId op, Attr attr, std::vector<NodeId> inputs);
  void set_attr(NodeId node, Attr attr) { become(node, op(node), attr, inputs(node)); }
  void set_inputs(NodeId node, std::vector<NodeId> inputs) {
    become(node, op(node), attr(node), std::move(inputs));
  }

  /// Resolves the inputs of `node` after replacements. A pass must call this before it reads a
  /// node.
  void refresh(NodeId node);
  /// Whether anything has changed since the last `compact`.
  [[nodiscard]] bool changed() const { return changed_; }
  /// Drops the nodes that no output needs, and renumbers the others in the same order. O(1) without
  /// changes.
  void compact();
  /// The graph in the deterministic order, and the first graph's operators behind its nodes: an
  /// operator that a pass dropped stands behind the node that replaced it or read it last.
  struct Result {
    Graph graph;
    Origins origins;
  };
  [[nodiscard]] Result finish() const;

 private:
  [[nodiscard]] NodeId resolve(NodeId node) const {
    while (alias_[index(node)] != node) node = alias_[index(node)];
    return node;
  }
  // Counts readers; a node without a reader is an output.
  void find_outputs();
  // Moves the operators behind nodes that are not `live` to their heirs.
  void settle_origins(const std::vector<bool>& live);

  std::vector<OpId> op_;
  std::vector<Attr> attr_;
  std::vector<std::vector<NodeId>> inputs_;
  std::vector<NodeId> alias_;
  std::vector<std::int32_t> uses_;
  std::vector<NodeId> outputs_;
  bool changed_ = false;

  struct Move {
    NodeId from;
    NodeId heir;
    bool beside;
  };
  std::vector<NodeId> owner_;         // per operator of the first graph: its node, or -1
  std::vector<std::uint8_t> beside_;  // per operator of the first graph: joined side by side
  std::vector<NodeId> principal_;     // per node: the operator that it descends from, or -1
  std::vector<NodeId> dropped_by_;    // per node: the node that ceased to read it last, or -1
  std::vector<Move> moves_;
};

}  // namespace narfast
