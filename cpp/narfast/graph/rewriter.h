// A graph that is being rewritten. Passes go over its nodes in topological order and replace nodes
// by earlier ones or turn them, in place, into other operators; `compact` then drops what nothing
// reads.
#pragma once

#include <cstdint>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/operators.h"

namespace narfast {

class Rewriter {
 public:
  /// Takes a topologically ordered graph; its outputs are the nodes that nothing reads.
  explicit Rewriter(const GraphView& graph);

  NodeId size() const { return static_cast<NodeId>(op_.size()); }
  OpId op(NodeId node) const { return op_[index(node)]; }
  Attr attr(NodeId node) const { return attr_[index(node)]; }
  bool has_attr(NodeId node, Attr bits) const { return (attr(node) & bits) != 0; }
  /// In-neighbours, with replaced nodes already resolved.
  const std::vector<NodeId>& inputs(NodeId node) const { return inputs_[index(node)]; }
  /// How many edges (and network outputs) read the node; more than do where readers have changed
  /// since the last `compact`, never fewer.
  std::int32_t uses(NodeId node) const { return uses_[index(node)]; }

  /// From now on every reader of `node` reads `other`, an earlier node, instead.
  void replace_by(NodeId node, NodeId other);
  /// Turns `node` into another operator; its inputs must be earlier nodes.
  void become(NodeId node, OpId op, Attr attr, std::vector<NodeId> inputs);
  void set_attr(NodeId node, Attr attr) { become(node, op(node), attr, inputs(node)); }
  void set_inputs(NodeId node, std::vector<NodeId> inputs) {
    become(node, op(node), attr(node), std::move(inputs));
  }

  /// Resolves the inputs of `node` after replacements; a pass calls this before it looks at a node.
  void refresh(NodeId node);
  /// Whether anything has changed since the last `compact`.
  bool changed() const { return changed_; }
  /// Drops nodes that no output needs and renumbers the rest in the same order. O(1) if nothing has
  /// changed.
  void compact();
  /// The graph in the deterministic order.
  Graph finish() const;

 private:
  static std::size_t index(NodeId node) { return static_cast<std::size_t>(node); }
  NodeId resolve(NodeId node) const {
    while (alias_[index(node)] != node) node = alias_[index(node)];
    return node;
  }
  // Counts readers; what nothing reads is an output.
  void find_outputs();

  std::vector<OpId> op_;
  std::vector<Attr> attr_;
  std::vector<std::vector<NodeId>> inputs_;
  std::vector<NodeId> alias_;
  std::vector<std::int32_t> uses_;
  std::vector<NodeId> outputs_;
  bool changed_ = false;
};

}  // namespace narfast
