// Edits are made in place; `compact` alone moves nodes.
#include "narfast/graph/rewriter.h"

#include <algorithm>
#include <numeric>

namespace narfast {

Rewriter::Rewriter(const GraphView& graph)
    : op_(graph.op.begin(), graph.op.end()),
      attr_(graph.attr.begin(), graph.attr.end()),
      inputs_(graph.op.size()),
      alias_(graph.op.size()) {
  std::iota(alias_.begin(), alias_.end(), 0);
  for (NodeId node = 0; node < size(); ++node) {
    const auto sources = graph.inputs(node);
    inputs_[index(node)].assign(sources.begin(), sources.end());
  }
  find_outputs();
}

void Rewriter::replace_by(NodeId node, NodeId other) {
  const NodeId target = resolve(other);
  // The readers of `node` read the target from now on, and `node` itself no longer does.
  const auto& read = inputs_[index(node)];
  const auto own = std::count_if(read.begin(), read.end(),
                                 [&](NodeId source) { return resolve(source) == target; });
  uses_[index(target)] += uses_[index(node)] - static_cast<std::int32_t>(own);
  alias_[index(node)] = target;
  changed_ = true;
}

void Rewriter::become(NodeId node, OpId op, Attr attr, std::vector<NodeId> inputs) {
  if (op_[index(node)] == op && attr_[index(node)] == attr && inputs_[index(node)] == inputs)
    return;
  op_[index(node)] = op;
  attr_[index(node)] = attr;
  inputs_[index(node)] = std::move(inputs);
  changed_ = true;
}

void Rewriter::refresh(NodeId node) {
  if (!changed_) return;
  for (NodeId& source : inputs_[index(node)]) source = resolve(source);
}

void Rewriter::find_outputs() {
  uses_.assign(op_.size(), 0);
  for (const auto& sources : inputs_)
    for (NodeId source : sources) ++uses_[index(source)];
  // A replaced output stays an output only if its replacement has no reader: a graph does not say
  // which of its inner values the network returns, and a second run must see the same outputs as
  // the first.
  outputs_.clear();
  for (NodeId node = 0; node < size(); ++node) {
    if (uses_[index(node)] != 0) continue;
    outputs_.push_back(node);
    uses_[index(node)] = 1;
  }
}

void Rewriter::compact() {
  if (!changed_) return;
  std::vector<bool> live(op_.size(), false);
  for (NodeId& output : outputs_) {
    output = resolve(output);
    live[index(output)] = true;
  }
  for (NodeId node = size() - 1; node >= 0; --node) {
    if (!live[index(node)]) continue;
    refresh(node);
    for (NodeId source : inputs_[index(node)]) live[index(source)] = true;
  }
  changed_ = false;  // not before: `refresh` does nothing without changes
  std::vector<NodeId> new_id(op_.size(), -1);
  NodeId next = 0;
  for (NodeId node = 0; node < size(); ++node) {
    if (!live[index(node)]) continue;
    for (NodeId& source : inputs_[index(node)]) source = new_id[index(source)];
    new_id[index(node)] = next;
    if (next != node) {
      op_[index(next)] = op_[index(node)];
      attr_[index(next)] = attr_[index(node)];
      inputs_[index(next)] = std::move(inputs_[index(node)]);
    }
    ++next;
  }
  op_.resize(index(next));
  attr_.resize(index(next));
  inputs_.resize(index(next));
  alias_.resize(index(next));
  std::iota(alias_.begin(), alias_.end(), 0);
  find_outputs();
}

Graph Rewriter::finish() const {
  LooseGraph loose{op_, attr_, {0}, {}, outputs_};
  for (const auto& sources : inputs_) {
    loose.in_src.insert(loose.in_src.end(), sources.begin(), sources.end());
    loose.in_ptr.push_back(static_cast<Offset>(loose.in_src.size()));
  }
  return order_nodes(loose).graph;
}

}  // namespace narfast
