// Edits are made in place; `compact` alone moves nodes.
#include "narfast/graph/rewriter.h"

#include <algorithm>
#include <numeric>

namespace narfast {
namespace {

constexpr NodeId kNone = -1;

}  // namespace

Rewriter::Rewriter(const GraphView& graph)
    : op_(graph.op.begin(), graph.op.end()),
      attr_(graph.attr.begin(), graph.attr.end()),
      inputs_(graph.op.size()),
      alias_(graph.op.size()),
      owner_(graph.op.size()),
      beside_(graph.op.size(), 0),
      dropped_by_(graph.op.size(), kNone) {
  std::iota(alias_.begin(), alias_.end(), 0);
  std::iota(owner_.begin(), owner_.end(), 0);
  principal_ = owner_;
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

void Rewriter::join(NodeId node, NodeId other) {
  replace_by(node, other);
  hand_over(node, alias_[index(node)], true);
}

void Rewriter::hand_over(NodeId from, NodeId heir, bool beside) {
  moves_.push_back({from, heir, beside});
}

void Rewriter::become(NodeId node, OpId op, Attr attr, std::vector<NodeId> inputs) {
  if (op_[index(node)] == op && attr_[index(node)] == attr && inputs_[index(node)] == inputs)
    return;
  op_[index(node)] = op;
  attr_[index(node)] = attr;
  for (const NodeId old : inputs_[index(node)])
    if (std::find(inputs.begin(), inputs.end(), old) == inputs.end())
      dropped_by_[index(old)] = node;
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
  settle_origins(live);
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
      principal_[index(next)] = principal_[index(node)];
    }
    ++next;
  }
  for (NodeId& node : owner_)
    if (node != kNone) node = new_id[index(node)];
  op_.resize(index(next));
  attr_.resize(index(next));
  inputs_.resize(index(next));
  alias_.resize(index(next));
  principal_.resize(index(next));
  dropped_by_.assign(index(next), kNone);
  std::iota(alias_.begin(), alias_.end(), 0);
  find_outputs();
}

void Rewriter::settle_origins(const std::vector<bool>& live) {
  // Moves that passes asked for come first.
  if (!moves_.empty()) {
    std::vector<const Move*> move_of(op_.size(), nullptr);
    const std::vector<NodeId> former = principal_;
    for (const Move& move : moves_) {
      move_of[index(move.from)] = &move;
      principal_[index(move.from)] = kNone;
    }
    for (const Move& move : moves_)
      if (principal_[index(move.heir)] == kNone)
        principal_[index(move.heir)] = former[index(move.from)];
    for (std::size_t raw = 0; raw < owner_.size(); ++raw) {
      if (owner_[raw] == kNone || move_of[index(owner_[raw])] == nullptr) continue;
      const Move& move = *move_of[index(owner_[raw])];
      owner_[raw] = move.heir;
      beside_[raw] |= static_cast<std::uint8_t>(move.beside);
    }
    moves_.clear();
  }
  // One step from each dropped node towards its heir: what replaced it, what ceased to read it, or
  // a reader that was dropped too.
  std::vector<NodeId> next(op_.size(), kNone);
  for (NodeId node = 0; node < size(); ++node) {
    if (live[index(node)]) {
      next[index(node)] = node;
    } else if (alias_[index(node)] != node) {
      next[index(node)] = alias_[index(node)];
    } else {
      next[index(node)] = dropped_by_[index(node)];
    }
  }
  for (NodeId node = 0; node < size(); ++node) {
    if (live[index(node)]) continue;
    for (const NodeId source : inputs_[index(node)]) {
      const NodeId known = resolve(source);
      if (next[index(known)] == kNone) next[index(known)] = node;
    }
  }
  // Two dropped nodes may point at each other; then nothing is left of them.
  std::vector<bool> done = live;
  std::vector<NodeId> path;
  for (NodeId node = 0; node < size(); ++node) {
    NodeId end = node;
    path.clear();
    while (end != kNone && !done[index(end)]) {
      done[index(end)] = true;
      path.push_back(end);
      const NodeId step = next[index(end)];
      next[index(end)] = kNone;  // a path that comes back here ends
      end = step;
    }
    const NodeId heir = end == kNone ? kNone : next[index(end)];
    for (const NodeId passed : path) next[index(passed)] = heir;
  }
  for (NodeId& node : owner_)
    if (node != kNone) node = next[index(node)];
}

Rewriter::Result Rewriter::finish() const {
  LooseGraph loose{op_, attr_, {0}, {}, outputs_};
  for (const auto& sources : inputs_) {
    loose.in_src.insert(loose.in_src.end(), sources.begin(), sources.end());
    loose.in_ptr.push_back(static_cast<Offset>(loose.in_src.size()));
  }
  OrderedGraph ordered = order_nodes(loose);
  const auto owned = collect_rows<Offset, NodeId>(op_.size(), [&](auto add) {
    for (std::size_t raw = 0; raw < owner_.size(); ++raw)
      if (owner_[raw] != kNone) add(owner_[raw], static_cast<NodeId>(raw));
  });
  Result result{std::move(ordered.graph), {}};
  for (const NodeId node : ordered.old_id) {
    auto& rows = result.origins.nodes;
    const NodeId principal = principal_[index(node)];
    if (principal != kNone) rows.values.push_back(principal);
    for (const NodeId raw : owned[node])
      if (raw != principal) rows.values.push_back(raw);
    rows.end_row();
  }
  for (const NodeId raw : result.origins.nodes.values)
    result.origins.beside.push_back(raw == kNone ? 0 : beside_[index(raw)]);
  return result;
}

}  // namespace narfast
