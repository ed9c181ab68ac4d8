// Inlining by name resolution: every function body and subgraph is a frame that maps names to
// value numbers; a frame of a subgraph sees the frames around it, one of a function does not.
#include "narfast/onnx/flatten.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace narfast::onnx {
namespace {

constexpr int kMaxNesting = 64;
constexpr std::size_t kMaxOperands = 32'000'000;
constexpr std::size_t kMaxFlatNodes = 4'000'000;

using Names = std::unordered_map<std::string_view, ValueId>;

struct Frame {
  Names names;
  const Frame* outer = nullptr;
  std::int32_t scope = -1;
};

class Flattener {
 public:
  explicit Flattener(const Model& model) : model_(model) {
    for (const Function& function : model.functions) {
      // The first of two equal declarations wins, as in onnxruntime's loader.
      functions_.emplace(key(function.domain, function.name, function.overload), &function);
    }
  }

  FlatModel run();

 private:
  static std::string key(std::string_view domain, std::string_view name,
                         std::string_view overload) {
    std::string result(domain);
    result += '\0';
    result += name;
    result += '\0';
    result += overload;
    return result;
  }

  ValueId new_value(FlatValue value) {
    flat_.values.push_back(value);
    return static_cast<ValueId>(flat_.values.size() - 1);
  }
  void declare(const Frame& frame, const std::vector<ValueInfo>& infos);
  void define(Frame& frame, std::string_view name, ValueId id, std::string_view what,
              const Node* by = nullptr);
  ValueId resolve(const Frame& frame, std::string_view name, const Node* reader) const;
  void emit(FlatNode::Kind kind, const Node* node, std::int32_t scope,
            std::span<const ValueId> inputs, std::span<const ValueId> outputs);
  void alias(const Node* node, std::int32_t scope, ValueId from, ValueId to) {
    emit(FlatNode::Kind::kAlias, node, scope, std::span(&from, 1), std::span(&to, 1));
  }
  void charge(std::size_t operands);

  void body(Frame& frame, const std::vector<Node>& nodes, int depth);
  void call(const Frame& frame, const Node& node, const Function& function, int depth);
  std::vector<ValueId> subgraph(const Frame& frame, const Node& node, const Graph& graph,
                                std::span<const ValueId> arguments, int depth);
  void control_flow(const Frame& frame, const Node& node, int depth);
  std::vector<ValueId> outputs_of(const Frame& frame, const Node& node) const;

  const Model& model_;
  std::unordered_map<std::string, const Function*> functions_;
  std::vector<const Function*> active_;
  FlatModel flat_;
  std::size_t operands_ = 0;
};

void Flattener::charge(std::size_t operands) {
  operands_ += operands + 1;
  if (operands_ > kMaxOperands || flat_.nodes.size() > kMaxFlatNodes) {
    throw InvalidGraph("functions and loops expand to more than " + std::to_string(kMaxFlatNodes) +
                       " nodes; export the model without nested functions");
  }
}

void Flattener::declare(const Frame& frame, const std::vector<ValueInfo>& infos) {
  for (const ValueInfo& info : infos) {
    const auto found = frame.names.find(info.name);
    if (found != frame.names.end() && found->second != kOmitted) {
      flat_.values[static_cast<std::size_t>(found->second)].declared = &info;
    }
  }
}

void Flattener::define(Frame& frame, std::string_view name, ValueId id, std::string_view what,
                       const Node* by) {
  if (frame.names.emplace(name, id).second) return;
  std::string producer(what);
  if (by != nullptr) producer += describe(*by);
  throw InvalidGraph("the value \"" + printable(name) +
                     "\" is produced twice, the second time by " + producer +
                     "; every value needs a name of its own");
}

ValueId Flattener::resolve(const Frame& frame, std::string_view name, const Node* reader) const {
  if (name.empty()) return kOmitted;
  for (const Frame* f = &frame; f != nullptr; f = f->outer) {
    if (const auto found = f->names.find(name); found != f->names.end()) return found->second;
  }
  throw InvalidGraph((reader != nullptr ? describe(*reader) + " reads" : "the graph returns") +
                     std::string(" the value \"") + printable(name) +
                     "\", which nothing produces; the graph was cut or its names damaged");
}

void Flattener::emit(FlatNode::Kind kind, const Node* node, std::int32_t scope,
                     std::span<const ValueId> inputs, std::span<const ValueId> outputs) {
  charge(inputs.size() + outputs.size());
  FlatNode flat;
  flat.kind = kind;
  flat.node = node;
  flat.scope = scope;
  flat.first = static_cast<std::uint32_t>(flat_.operands.size());
  flat.inputs = static_cast<std::uint32_t>(inputs.size());
  flat.outputs = static_cast<std::uint32_t>(outputs.size());
  flat_.operands.insert(flat_.operands.end(), inputs.begin(), inputs.end());
  flat_.operands.insert(flat_.operands.end(), outputs.begin(), outputs.end());
  flat_.nodes.push_back(flat);
}

std::vector<ValueId> Flattener::outputs_of(const Frame& frame, const Node& node) const {
  std::vector<ValueId> ids;
  ids.reserve(node.outputs.size());
  for (const std::string_view name : node.outputs) {
    ids.push_back(name.empty() ? kOmitted : frame.names.at(name));
  }
  return ids;
}

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(),
                     [](const Attribute& a) { return !a.graphs.empty(); });
}

void Flattener::body(Frame& frame, const std::vector<Node>& nodes, int depth) {
  if (depth > kMaxNesting) {
    throw InvalidGraph("functions and subgraphs nest more than " + std::to_string(kMaxNesting) +
                       " deep; export the model without nested functions");
  }
  // All names first: the nodes of a file may stand in any order.
  for (const Node& node : nodes) {
    charge(node.outputs.size());
    for (const std::string_view name : node.outputs) {
      if (!name.empty()) define(frame, name, new_value({}), "", &node);
    }
  }
  std::vector<ValueId> inputs;
  for (const Node& node : nodes) {
    // A fused operator of onnxruntime may come with its decomposition; the operator says more.
    if (!functions_.empty() && node.domain != "com.microsoft") {
      auto found = functions_.find(key(node.domain, node.type, node.overload));
      if (found != functions_.end()) {
        call(frame, node, *found->second, depth + 1);
        continue;
      }
    }
    if (has_body(node)) {
      control_flow(frame, node, depth + 1);
      continue;
    }
    inputs.clear();
    for (const std::string_view name : node.inputs) inputs.push_back(resolve(frame, name, &node));
    emit(FlatNode::Kind::kOperator, &node, frame.scope, inputs, outputs_of(frame, node));
  }
}

void Flattener::call(const Frame& frame, const Node& node, const Function& function, int depth) {
  if (std::find(active_.begin(), active_.end(), &function) != active_.end()) {
    throw InvalidGraph("the function " + printable(function.name) + " calls itself, in " +
                       describe(node) + "; export the model without recursive functions");
  }
  if (node.inputs.size() > function.inputs.size() ||
      node.outputs.size() > function.outputs.size()) {
    throw InvalidGraph(describe(node) + " passes " + std::to_string(node.inputs.size()) +
                       " inputs and takes " + std::to_string(node.outputs.size()) +
                       " outputs, but the function has " + std::to_string(function.inputs.size()) +
                       " and " + std::to_string(function.outputs.size()) +
                       "; the call and its function must agree");
  }
  charge(function.inputs.size() + function.outputs.size() + function.values.size());
  Frame inner;
  inner.scope = static_cast<std::int32_t>(flat_.scopes.size());
  flat_.scopes.push_back({&node, &function, frame.scope});
  for (std::size_t i = 0; i < function.inputs.size(); ++i) {
    const ValueId argument =
        i < node.inputs.size() ? resolve(frame, node.inputs[i], &node) : kOmitted;
    define(inner, function.inputs[i], argument, "the inputs of the function called by ", &node);
  }
  active_.push_back(&function);
  body(inner, function.nodes, depth);
  active_.pop_back();
  declare(inner, function.values);
  const std::vector<ValueId> outputs = outputs_of(frame, node);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kOmitted) continue;
    alias(&node, frame.scope, resolve(inner, function.outputs[i], &node), outputs[i]);
  }
}

std::vector<ValueId> Flattener::subgraph(const Frame& frame, const Node& node, const Graph& graph,
                                         std::span<const ValueId> arguments, int depth) {
  charge(graph.inputs.size() + graph.outputs.size() + graph.initializers.size() +
         graph.values.size());
  Frame inner;
  inner.outer = &frame;
  inner.scope = frame.scope;
  for (const Tensor& tensor : graph.initializers) {
    FlatValue value;
    value.origin = FlatValue::Origin::kInitializer;
    value.initializer = &tensor;
    define(inner, tensor.name, new_value(value), "an initializer of ", &node);
  }
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    ValueId id = i < arguments.size() ? arguments[i] : kOmitted;
    if (id == kOmitted) {
      // The iteration number and the condition of a loop.
      FlatValue value;
      value.origin = FlatValue::Origin::kConstant;
      id = new_value(value);
    }
    define(inner, graph.inputs[i].name, id, "an input of the body of ", &node);
  }
  body(inner, graph.nodes, depth);
  declare(inner, graph.values);
  std::vector<ValueId> results;
  results.reserve(graph.outputs.size());
  for (const ValueInfo& output : graph.outputs) {
    results.push_back(resolve(inner, output.name, &node));
  }
  return results;
}

void Flattener::control_flow(const Frame& frame, const Node& node, int depth) {
  std::vector<ValueId> inputs;
  inputs.reserve(node.inputs.size());
  for (const std::string_view name : node.inputs) inputs.push_back(resolve(frame, name, &node));
  const std::vector<ValueId> outputs = outputs_of(frame, node);

  if (node.type == "If") {
    std::vector<std::vector<ValueId>> branches;
    for (const std::string_view branch : {"then_branch", "else_branch"}) {
      const Attribute* attribute = node.find(branch);
      if (attribute == nullptr || attribute->graphs.empty()) continue;
      branches.push_back(subgraph(frame, node, attribute->graphs.front(), {}, depth));
    }
    std::vector<ValueId> merged;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i] == kOmitted) continue;
      merged.clear();
      for (const std::vector<ValueId>& branch : branches) {
        if (i < branch.size() && branch[i] != kOmitted) merged.push_back(branch[i]);
      }
      emit(FlatNode::Kind::kSelect, &node, frame.scope, merged, std::span(&outputs[i], 1));
    }
    return;
  }

  const Attribute* attribute = node.find("body");
  if (attribute == nullptr || attribute->graphs.empty()) {
    // An operator with a subgraph that is no known control flow: keep it whole.
    emit(FlatNode::Kind::kOperator, &node, frame.scope, inputs, outputs);
    return;
  }
  const Graph& graph = attribute->graphs.front();
  // Arguments in the order of the body's inputs; the body's outputs from `skip` on are the node's.
  std::vector<ValueId> arguments;
  std::size_t skip = 0;
  if (node.type == "Loop") {
    // Inputs: trip count, condition, carried values. Body: iteration, condition, carried values.
    arguments.assign(2, kOmitted);
    for (std::size_t i = 2; i < inputs.size(); ++i) arguments.push_back(inputs[i]);
    skip = 1;
  } else {
    // Scan-8 has an optional leading sequence_lens.
    const bool sequence_lens = node.type == "Scan" && inputs.size() == graph.inputs.size() + 1;
    arguments.assign(inputs.begin() + (sequence_lens ? 1 : 0), inputs.end());
  }
  const std::vector<ValueId> results = subgraph(frame, node, graph, arguments, depth);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kOmitted || i + skip >= results.size()) continue;
    alias(&node, frame.scope, results[i + skip], outputs[i]);
  }
}

/// Orders nodes so that operands are produced before they are read; keeps a valid order as it is.
void sort_nodes(FlatModel& flat) {
  bool sorted = true;
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) {
    for (const ValueId id : flat.outputs_of(flat.nodes[i])) {
      if (id != kOmitted) {
        flat.values[static_cast<std::size_t>(id)].producer = static_cast<std::int32_t>(i);
      }
    }
  }
  const auto producer = [&](ValueId id) {
    return id == kOmitted ? -1 : flat.values[static_cast<std::size_t>(id)].producer;
  };
  std::vector<std::int32_t> waiting(flat.nodes.size(), 0);
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) {
    for (const ValueId id : flat.inputs_of(flat.nodes[i])) {
      if (producer(id) < 0) continue;
      ++waiting[i];
      sorted = sorted && producer(id) < static_cast<std::int32_t>(i);
    }
  }
  if (sorted) return;

  // Readers of each node by count, prefix sum and fill, then Kahn's algorithm.
  std::vector<std::size_t> start(flat.nodes.size() + 1, 0);
  for (const FlatNode& node : flat.nodes) {
    for (const ValueId id : flat.inputs_of(node)) {
      if (producer(id) >= 0) ++start[static_cast<std::size_t>(producer(id)) + 1];
    }
  }
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) start[i + 1] += start[i];
  std::vector<std::int32_t> readers(start.back());
  std::vector<std::size_t> next(start.begin(), start.end() - 1);
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) {
    for (const ValueId id : flat.inputs_of(flat.nodes[i])) {
      if (producer(id) >= 0) {
        readers[next[static_cast<std::size_t>(producer(id))]++] = static_cast<std::int32_t>(i);
      }
    }
  }
  std::vector<std::int32_t> order;
  order.reserve(flat.nodes.size());
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) {
    if (waiting[i] == 0) order.push_back(static_cast<std::int32_t>(i));
  }
  for (std::size_t head = 0; head < order.size(); ++head) {
    const auto node = static_cast<std::size_t>(order[head]);
    for (std::size_t r = start[node]; r < start[node + 1]; ++r) {
      if (--waiting[static_cast<std::size_t>(readers[r])] == 0) order.push_back(readers[r]);
    }
  }
  if (order.size() != flat.nodes.size()) {
    const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](auto w) { return w > 0; });
    const auto index = static_cast<std::size_t>(stuck - waiting.begin());
    throw InvalidGraph(describe(*flat.nodes[index].node) +
                       " is on or behind a cycle; a network's graph must be acyclic");
  }
  std::vector<FlatNode> nodes;
  nodes.reserve(order.size());
  for (const std::int32_t i : order) nodes.push_back(flat.nodes[static_cast<std::size_t>(i)]);
  flat.nodes = std::move(nodes);
  for (std::size_t i = 0; i < flat.nodes.size(); ++i) {
    for (const ValueId id : flat.outputs_of(flat.nodes[i])) {
      if (id != kOmitted) {
        flat.values[static_cast<std::size_t>(id)].producer = static_cast<std::int32_t>(i);
      }
    }
  }
}

FlatModel Flattener::run() {
  const Graph& graph = model_.graph;
  Frame frame;
  frame.names.reserve(graph.nodes.size() + graph.initializers.size() + graph.inputs.size());
  for (const Tensor& tensor : graph.initializers) {
    FlatValue value;
    value.origin = FlatValue::Origin::kInitializer;
    value.initializer = &tensor;
    define(frame, tensor.name, new_value(value), "an initializer");
  }
  for (const ValueInfo& input : graph.inputs) {
    // Before IR version 4 every initializer is listed as an input too.
    const auto found = frame.names.find(input.name);
    if (found != frame.names.end() &&
        flat_.values[static_cast<std::size_t>(found->second)].initializer != nullptr) {
      continue;
    }
    FlatValue value;
    value.origin = FlatValue::Origin::kInput;
    value.declared = &input;
    const ValueId id = new_value(value);
    define(frame, input.name, id, "a graph input");
    flat_.inputs.push_back(id);
  }
  body(frame, graph.nodes, 0);
  declare(frame, graph.values);
  declare(frame, graph.outputs);
  for (const ValueInfo& output : graph.outputs) {
    flat_.outputs.push_back(resolve(frame, output.name, nullptr));
  }
  sort_nodes(flat_);
  return std::move(flat_);
}

}  // namespace

const Attribute* FlatModel::attribute(const FlatNode& n, std::string_view name) const {
  const Attribute* found = n.node->find(name);
  std::int32_t scope = n.scope;
  while (found != nullptr && !found->reference.empty()) {
    if (scope < 0) return nullptr;
    const Scope& at = scopes[static_cast<std::size_t>(scope)];
    const std::string_view wanted = found->reference;
    found = at.call->find(wanted);
    if (found == nullptr) {
      for (const Attribute& fallback : at.function->defaults) {
        if (fallback.name == wanted && fallback.reference.empty()) found = &fallback;
      }
    }
    scope = at.parent;
  }
  return found;
}

std::string describe(const Node& node) {
  std::string text = "node ";
  if (!node.name.empty()) text.append("'").append(printable(node.name)).append("' ");
  text.append("(").append(printable(node.type)).append(") at byte ");
  return text.append(std::to_string(node.offset));
}

FlatModel flatten(const Model& model) { return Flattener(model).run(); }

}  // namespace narfast::onnx
