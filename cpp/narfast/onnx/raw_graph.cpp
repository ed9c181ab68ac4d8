// Visits every flat node once: decides whether its result is a constant, an auxiliary (integer)
// value or data, and finds the operator and attributes of data.
#include "narfast/onnx/raw_graph.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "narfast/graph/attributes.h"
#include "narfast/graph/einsum.h"
#include "narfast/graph/operators.h"
#include "narfast/onnx/attributes.h"
#include "narfast/onnx/flatten.h"
#include "narfast/onnx/hyperparameters.h"
#include "narfast/onnx/shapes.h"

namespace narfast::onnx {
namespace {

constexpr std::size_t kMaxInputShapes = 1000;

/// kAuxiliary: depends on inputs through integers only, so no gradient would flow through it.
enum class Kind : std::uint8_t { kConstant, kAuxiliary, kData };

struct State {
  Kind kind = Kind::kConstant;
  NodeId node = -1;
};

/// What stands behind a constant: the number of learned parameters, and the name of the first.
struct Learned {
  std::int64_t elements = 0;
  std::string_view name;
};

/// "domain.Type"; the bare type for the default domain.
std::string spelling_of(const Node& node) {
  if (node.domain.empty()) return std::string(node.type);
  return std::string(node.domain) + "." + std::string(node.type);
}

class Builder {
 public:
  explicit Builder(const Model& model)
      : model_(model),
        flat_(flatten(model)),
        facts_(flat_, model.opset),
        attributes_(flat_, facts_, model.opset),
        exact_(flat_, facts_, attributes_) {}

  RawGraph run();

 private:
  const State& state(ValueId id) const {
    static const State nothing;
    return id == kOmitted ? nothing : states_[static_cast<std::size_t>(id)];
  }
  const State& operand(const FlatNode& flat, std::size_t n) const {
    const auto inputs = flat_.inputs_of(flat);
    return state(n < inputs.size() ? inputs[n] : kOmitted);
  }
  bool given(const FlatNode& flat, std::size_t n) const {
    return n < flat.inputs && flat_.inputs_of(flat)[n] != kOmitted;
  }

  NodeId add(OpId op, Attributes attributes, std::span<const NodeId> inputs);
  NodeId add(OpId op, Attributes attributes, std::initializer_list<NodeId> inputs) {
    return add(op, attributes, std::span(inputs.begin(), inputs.size()));
  }
  void set_outputs(const FlatNode& flat, State value, bool first_only = false);

  void inputs();
  void learn(const FlatNode& flat);
  void describe(OpId op, const Attributes& attributes);
  void visit(const FlatNode& flat);
  void visit_data(const FlatNode& flat);
  void synthetic(const FlatNode& flat);
  bool fused(const FlatNode& flat);
  Spelling lookup(const Node& node);
  std::span<const ValueId> data_operands(const FlatNode& flat, const Spelling& spelling) const;
  std::vector<NodeId> edges(std::span<const ValueId> operands, bool weighted) const;
  bool changes_nothing(const FlatNode& flat, OpId op) const;
  bool covers_map(const FlatNode& flat, OpId op) const;
  NodeId gated_by_itself(const FlatNode& flat, OpId op) const;
  void embed_or_index(const FlatNode& flat);
  void product(const FlatNode& flat);
  bool einsum(const FlatNode& flat);
  Attributes attributes(const FlatNode& flat, OpId op) const;
  NodeId activation(const FlatNode& flat, NodeId source);
  void count_parameters(RawGraph& raw) const;
  void outputs(RawGraph& raw);

  const Model& model_;
  FlatModel flat_;
  ShapeInference facts_;
  AttributeReader attributes_;
  HyperparameterReader exact_;
  std::vector<State> states_;
  std::vector<Learned> learned_;  // by value
  LooseGraph loose_;
  Hyperparameters rows_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string, std::int64_t> text_numbers_;
  const FlatNode* current_ = nullptr;  // the node that is being visited
  Learned own_;                        // its parameters, until one of its operators has them
  bool fused_ = false;                 // it stands for several operators
  std::map<std::string, std::int64_t> unknown_;
  std::unordered_set<const Tensor*> statistics_;
};

NodeId Builder::add(OpId op, Attributes attributes, std::span<const NodeId> inputs) {
  if (loose_.op.size() >= static_cast<std::size_t>(narfast::kMaxNodes)) {
    throw InvalidGraph("more than " + std::to_string(narfast::kMaxNodes) +
                       " operators; export a part of the model");
  }
  loose_.op.push_back(op);
  loose_.attr.push_back(pack_attributes(attributes));
  loose_.in_src.insert(loose_.in_src.end(), inputs.begin(), inputs.end());
  loose_.in_ptr.push_back(static_cast<Offset>(loose_.in_src.size()));
  if (current_ != nullptr) describe(op, attributes);
  rows_.end_row();
  return static_cast<NodeId>(loose_.op.size() - 1);
}

/// The hyperparameters of an operator of the current node.
void Builder::describe(OpId op, const Attributes& attributes) {
  const Category category = operator_table()[op].category;
  if (category == Category::kLinear && attributes.in_channels > 0) {
    rows_.add(Hyperparameter::kInChannels, attributes.in_channels);
    rows_.add(Hyperparameter::kOutChannels, attributes.out_channels);
  }
  exact_.read(*current_, op, rows_);
  std::optional<std::string> path = module_path(*current_->node);
  if (!path) path = module_of_parameter(own_.name);
  if (path) {
    const auto [text, added] = text_numbers_.emplace(*path, texts_.size());
    if (added) texts_.push_back(*path);
    rows_.add(Hyperparameter::kPath, text->second);
  }
  const bool beside = category == Category::kElementwise || category == Category::kActivation;
  if (own_.elements > 0 && !(fused_ && beside)) {
    rows_.add(Hyperparameter::kParams, own_.elements);
    own_.elements = 0;
  }
}

/// Collects the parameters behind the constant operands of a node; a constant result hands them on.
void Builder::learn(const FlatNode& flat) {
  own_ = {};
  for (std::size_t n = 0; n < flat.inputs; ++n) {
    const ValueId id = flat_.inputs_of(flat)[n];
    const bool statistics =
        flat.node->type == "BatchNormalization" && n >= 3 && flat.node->domain.empty();
    if (id == kOmitted || statistics) continue;
    const Learned& operand = learned_[static_cast<std::size_t>(id)];
    if (own_.name.empty()) own_.name = operand.name;
    const std::int64_t room = std::numeric_limits<std::int64_t>::max() - own_.elements;
    own_.elements += std::min(room, operand.elements);
  }
}

void Builder::set_outputs(const FlatNode& flat, State value, bool first_only) {
  const auto outputs = flat_.outputs_of(flat);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kOmitted) continue;
    State& state = states_[static_cast<std::size_t>(outputs[i])];
    state = value;
    // The indices that max_pool and topk return beside their values.
    if (first_only && i > 0 && value.kind == Kind::kData) state.kind = Kind::kAuxiliary;
  }
}

void Builder::inputs() {
  states_.resize(flat_.values.size());
  learned_.resize(flat_.values.size());
  for (std::size_t id = 0; id < learned_.size(); ++id) {
    const Tensor* tensor = flat_.values[id].initializer;
    if (tensor == nullptr) continue;
    const bool learned = is_float(tensor->type) && tensor->elements > 1;  // no scale or epsilon
    learned_[id] = {learned ? tensor->elements : 0, tensor->name};
  }
  for (const ValueId id : flat_.inputs) {
    const DataType type = flat_.values[static_cast<std::size_t>(id)].declared->type;
    // Bytes may be pixels; wider integers and booleans are token ids, masks and lengths.
    const bool pixels = type == DataType::kUint8 || type == DataType::kInt8;
    const bool whole = (is_integer(type) || type == DataType::kBool) && !pixels;
    states_[static_cast<std::size_t>(id)] = {whole ? Kind::kAuxiliary : Kind::kData,
                                             add("input"_op, {}, {})};
  }
}

Spelling Builder::lookup(const Node& node) {
  auto found = node.domain.empty() ? find_spelling(Frontend::kOnnx, node.type)
                                   : find_spelling(Frontend::kOnnx, spelling_of(node));
  // Other domains (com.microsoft above all) spell fused and older operators by a bare name.
  if (!found && !node.domain.empty()) found = find_spelling(Frontend::kOnnx, node.type);
  if (found) return *found;
  ++unknown_[printable(spelling_of(node))];
  const auto has = [&](std::string_view part) {
    return node.type.find(part) != std::string_view::npos;
  };
  if (has("Reduce")) return {"unknown/reduction"_op, -1};
  if (has("Pool")) return {"unknown/pooling"_op, -1};
  if (has("Norm")) return {"unknown/normalization"_op, -1};
  if (has("MatMul") || has("Gemm")) return {"unknown/linear"_op, -1};
  return {"unknown/other"_op, -1};
}

/// The operands that carry data. Weights, bounds and states are usually constants, and data
/// otherwise; the type or shape operand of a cast or reshape never is data.
std::span<const ValueId> Builder::data_operands(const FlatNode& flat,
                                                const Spelling& spelling) const {
  const auto all = flat_.inputs_of(flat);
  const bool cut = spelling.data_inputs == 0 ||
                   (spelling.data_inputs > 0 && has_trait(spelling.op, trait::kTransparent));
  return cut ? all.first(std::min(all.size(), static_cast<std::size_t>(spelling.data_inputs)))
             : all;
}

std::vector<NodeId> Builder::edges(std::span<const ValueId> operands, bool weighted) const {
  std::vector<NodeId> sources;
  for (const ValueId id : operands) {
    if (state(id).kind == Kind::kData) sources.push_back(state(id).node);
  }
  if (!sources.empty() || !weighted) return sources;
  for (const ValueId id : operands) {
    if (state(id).kind == Kind::kAuxiliary) sources.push_back(state(id).node);
  }
  return sources;
}

void Builder::synthetic(const FlatNode& flat) {
  State merged;
  std::vector<NodeId> sources;
  for (const ValueId id : flat_.inputs_of(flat)) {
    const State& branch = state(id);
    if (branch.kind > merged.kind) {
      merged = branch;
      sources.clear();
    }
    if (branch.kind == merged.kind && branch.kind != Kind::kConstant &&
        std::find(sources.begin(), sources.end(), branch.node) == sources.end()) {
      sources.push_back(branch.node);
    }
  }
  if (sources.size() > 1) merged.node = add("where"_op, {}, sources);
  set_outputs(flat, merged);
}

void Builder::visit(const FlatNode& flat) {
  facts_.visit(flat);
  if (flat.kind != FlatNode::Kind::kOperator) {
    synthetic(flat);
    return;
  }
  Kind strongest = Kind::kConstant;
  for (const ValueId id : flat_.inputs_of(flat)) strongest = std::max(strongest, state(id).kind);
  learn(flat);
  if (strongest == Kind::kConstant) {  // states are constants to begin with
    for (const ValueId id : flat_.outputs_of(flat))
      if (id != kOmitted) learned_[static_cast<std::size_t>(id)] = own_;
    return;
  }
  current_ = &flat;
  visit_data(flat);
  current_ = nullptr;
}

void Builder::visit_data(const FlatNode& flat) {
  const Node& node = *flat.node;
  if (fused(flat)) return;
  const Spelling spelling = lookup(node);
  const OpId op = covers_map(flat, spelling.op)
                      ? (spelling.op == "avg_pool"_op ? "global_avg_pool"_op : "global_max_pool"_op)
                      : spelling.op;
  const auto operands = data_operands(flat, spelling);
  Kind strongest = Kind::kConstant;
  for (const ValueId id : operands) strongest = std::max(strongest, state(id).kind);
  if (op == "constant"_op || strongest == Kind::kConstant) return;
  if (op == "gather"_op) {
    embed_or_index(flat);
    return;
  }
  if (op == "matmul"_op || op == "linear"_op) {
    product(flat);
    return;
  }
  if (op == "einsum"_op && einsum(flat)) return;
  if (op == "batch_norm"_op) {
    for (const std::size_t n : {std::size_t{3}, std::size_t{4}}) {
      if (facts_.input(flat, n).tensor != nullptr) statistics_.insert(facts_.input(flat, n).tensor);
    }
  }
  if (changes_nothing(flat, op)) {
    set_outputs(flat, operand(flat, 0));
    return;
  }
  if (const NodeId source = gated_by_itself(flat, op); source >= 0) {
    set_outputs(flat, {Kind::kData, add("silu"_op, {}, {source})});
    return;
  }
  const bool weighted = has_trait(op, trait::kWeights);
  const bool whole = op == "argmax"_op || op == "compare"_op || op == "nonzero"_op ||
                     op == "nms"_op ||
                     (op == "cast"_op && node.type == "Cast" &&
                      !is_float(static_cast<DataType>(facts_.integer(flat, "to", 1))));
  const Kind kind = whole                      ? Kind::kAuxiliary
                    : strongest == Kind::kData ? Kind::kData
                    : weighted                 ? Kind::kData
                                               : Kind::kAuxiliary;
  // An auxiliary value keeps all its sources: it counts only in the absence of data.
  const NodeId added =
      add(op, attributes(flat, op), edges(operands, weighted || kind == Kind::kAuxiliary));
  set_outputs(flat, {kind, added}, op == "max_pool"_op || op == "topk"_op);
}

/// Slices of everything, windows of one element, concatenations of one value, and the like.
bool Builder::changes_nothing(const FlatNode& flat, OpId op) const {
  if (operand(flat, 0).kind == Kind::kConstant) return false;
  if (op == "concat"_op) return flat.inputs == 1;
  if ((op == "slice"_op && flat.node->type == "Slice") || op == "pad"_op) {
    if (op == "pad"_op) {
      const auto pads = facts_.list(flat, "pads", 1);
      if (pads && std::all_of(pads->begin(), pads->end(), [](auto n) { return n == 0; }))
        return true;
    }
    const Shape& before = facts_.input(flat, 0).shape;
    return before.elements() >= 0 && flat.outputs == 1 &&
           facts_.fact(flat_.outputs_of(flat)[0]).shape == before;
  }
  if (op == "permute"_op && operand(flat, 0).node >= 0) {
    // ONNX's recurrent layers put directions before the batch; exporters move them back.
    const OpId before = loose_.op[static_cast<std::size_t>(operand(flat, 0).node)];
    const Attribute* perm = flat_.attribute(flat, "perm");
    return operator_table()[before].category == Category::kRecurrent && perm != nullptr &&
           perm->integers == std::vector<std::int64_t>{0, 2, 1, 3};
  }
  if (op == "avg_pool"_op || op == "max_pool"_op) {
    const Attributes a = attributes(flat, op);
    return a.kernel == 1 && a.stride <= 1 && flat.node->type.substr(0, 6) != "Global";
  }
  return false;
}

/// Whether a pooling has one window, as large as the map.
bool Builder::covers_map(const FlatNode& flat, OpId op) const {
  if ((op != "avg_pool"_op && op != "max_pool"_op) || flat.outputs != 1) return false;
  const auto numbers = [&](std::string_view name) {
    return facts_.list(flat, name, kAttributeOnly).value_or(std::vector<std::int64_t>{});
  };
  const std::vector<std::int64_t> kernel = numbers("kernel_shape"), pads = numbers("pads");
  const Attribute* auto_pad = flat_.attribute(flat, "auto_pad");
  const Shape& map = facts_.input(flat, 0).shape;
  const int first = map.rank - static_cast<int>(kernel.size());
  if (kernel.empty() || first < 1 || (auto_pad != nullptr && auto_pad->text != "NOTSET") ||
      std::any_of(pads.begin(), pads.end(), [](std::int64_t n) { return n != 0; }))
    return false;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t size = map.dim(first + static_cast<int>(i));
    if (size == kUnknownDim || kernel[i] < size) return false;
  }
  return true;
}

/// The node of x in x * sigmoid(x), else -1. Compares values, not nodes: x may be one output of a
/// split, and another output of it the gate of a glu.
NodeId Builder::gated_by_itself(const FlatNode& flat, OpId op) const {
  if (op != "mul"_op || flat.inputs != 2) return -1;
  const auto inputs = flat_.inputs_of(flat);
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}}) {
    if (state(inputs[n]).kind != Kind::kData || state(inputs[1 - n]).kind != Kind::kData) return -1;
    const std::int32_t producer = flat_.values[static_cast<std::size_t>(inputs[n])].producer;
    if (producer < 0) continue;
    const FlatNode& gate = flat_.nodes[static_cast<std::size_t>(producer)];
    if (gate.kind == FlatNode::Kind::kOperator && gate.node->type == "Sigmoid" &&
        gate.inputs == 1 && flat_.inputs_of(gate)[0] == inputs[1 - n]) {
      return state(inputs[1 - n]).node;
    }
  }
  return -1;
}

void Builder::embed_or_index(const FlatNode& flat) {
  const State& table = operand(flat, 0);
  const State& index = operand(flat, 1);
  const ValueFacts& fact = facts_.input(flat, 0);
  if (table.kind == Kind::kConstant) {
    const bool weights = is_float(fact.type) && fact.shape.elements() != 1;
    if (flat.node->type == "Gather" && weights) {
      set_outputs(flat, {Kind::kData, add("embedding"_op, {}, {})});
    } else {
      set_outputs(flat, {Kind::kAuxiliary, add("gather"_op, {}, {index.node})});
    }
    return;
  }
  // A view by strides: all elements, gathered from a flat copy into another shape.
  const Shape& whole = facts_.input(flat, 0).shape;
  if (index.kind == Kind::kConstant && whole.rank == 1 && flat.node->type == "Gather" &&
      whole.elements() > 1 && facts_.input(flat, 1).shape.elements() == whole.elements()) {
    set_outputs(flat, table);
    return;
  }
  // Constant indices make it a slice; only indices from data make it a gather.
  const bool fixed = index.kind == Kind::kConstant;
  set_outputs(flat, {table.kind, add(fixed ? "slice"_op : "gather"_op, {}, {table.node})});
}

void Builder::product(const FlatNode& flat) {
  const std::string_view type = flat.node->type;
  // The quantized forms carry scales and zero points between the operands.
  const std::size_t second = type == "QLinearMatMul" || type == "QGemm" ? 3 : 1;
  const State& a = operand(flat, 0);
  const State& b = operand(flat, second);
  const Shape& weight = facts_.input(flat, second).shape;
  Attributes attributes;
  OpId op = "matmul"_op;
  if (a.kind != Kind::kConstant && b.kind == Kind::kConstant && weight.rank <= 2) {
    op = "linear"_op;
    bool transposed = facts_.integer(flat, "transB", 0) != 0;
    if (weight.rank == 2) {
      attributes.in_channels = to_int(weight.dim(transposed ? 1 : 0));
      attributes.out_channels = to_int(weight.dim(transposed ? 0 : 1));
    } else if (weight.rank == 1) {
      attributes.in_channels = to_int(weight.dim(0));
      attributes.out_channels = 1;
    }
    if (type == "MatMulNBits" || type == "MatMulBnb4") {
      attributes.in_channels = to_int(facts_.integer(flat, "K", 0));
      attributes.out_channels = to_int(facts_.integer(flat, "N", 0));
    }
  } else if (a.kind == Kind::kConstant || b.kind == Kind::kConstant) {
    attributes.param_operand = true;
    attributes.constant_first = a.kind == Kind::kConstant;
  }
  const bool data = a.kind == Kind::kData || b.kind == Kind::kData || op == "linear"_op;
  NodeId node = add(op, attributes, edges(flat_.inputs_of(flat), true));
  node = activation(flat, node);
  set_outputs(flat, {data ? Kind::kData : Kind::kAuxiliary, node});
}

/// Writes an Einsum as its steps. Returns false where the shapes are not known.
bool Builder::einsum(const FlatNode& flat) {
  const Attribute* equation = flat_.attribute(flat, "equation");
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<State> values;
  for (std::size_t n = 0; n < flat.inputs; ++n) {
    const Shape& shape = facts_.input(flat, n).shape;
    if (!shape.known()) return false;
    shapes.emplace_back();
    for (int axis = 0; axis < shape.rank; ++axis) shapes.back().push_back(shape.dim(axis));
    values.push_back(operand(flat, n));
    if (values.back().kind == Kind::kAuxiliary) return false;
  }
  const auto steps = einsum_steps(equation == nullptr ? "" : equation->text, shapes);
  if (!steps) return false;
  for (const EinsumStep& step : *steps) {
    const State left = values[static_cast<std::size_t>(step.left)];
    const State right = step.right < 0 ? State{} : values[static_cast<std::size_t>(step.right)];
    if (left.kind == Kind::kConstant && right.kind == Kind::kConstant) {
      values.emplace_back();
      continue;
    }
    Attributes attributes;
    std::vector<NodeId> sources;
    for (const State& side : {left, right})
      if (side.kind != Kind::kConstant) sources.push_back(side.node);
    const bool product = step.right >= 0;
    attributes.param_operand = product && sources.size() == 1;
    attributes.constant_first =
        step.kind == EinsumStep::Kind::kMatmul && left.kind == Kind::kConstant;
    const std::vector<std::int64_t> axes(step.axes.begin(), step.axes.end());
    using A = std::vector<std::int64_t>;
    if (step.kind == EinsumStep::Kind::kSum) {
      attributes.last_axis = axes.size() == 1;
      attributes.space_axes = axes == A{2, 3} || axes == A{2, 3, 4};
    } else {
      attributes.layout_permute = mirrors_layout(axes);
    }
    const OpId op = step.kind == EinsumStep::Kind::kPermute  ? "permute"_op
                    : step.kind == EinsumStep::Kind::kMatmul ? "matmul"_op
                    : step.kind == EinsumStep::Kind::kMul    ? "mul"_op
                                                             : "sum"_op;
    values.push_back({Kind::kData, add(op, attributes, sources)});
  }
  set_outputs(flat, values.back());
  return true;
}

/// The activation in the attributes of a fused operator, as a node of its own.
NodeId Builder::activation(const FlatNode& flat, NodeId source) {
  const Attribute* name = flat_.attribute(flat, "activation");
  if (name == nullptr || name->text.empty()) return source;
  const auto found = find_spelling(Frontend::kOnnx, name->text);
  return found ? add(found->op, {}, {source}) : source;
}

/// Writes an onnxruntime operator as several operators of the table. Returns false for all others.
bool Builder::fused(const FlatNode& flat) {
  const std::string_view type = flat.node->type;
  fused_ = flat.node->domain == "com.microsoft";
  if (!fused_) return false;
  const auto data = [&](std::size_t n) {
    return given(flat, n) && operand(flat, n).kind != Kind::kConstant;
  };
  if (type == "SkipLayerNormalization" || type == "SkipSimplifiedLayerNormalization") {
    if (!data(0) || !data(1)) return false;
    const NodeId sum = add("add"_op, {}, {operand(flat, 0).node, operand(flat, 1).node});
    const OpId norm = type == "SkipLayerNormalization" ? "layer_norm"_op : "rms_norm"_op;
    set_outputs(flat, {Kind::kData, add(norm, {}, {sum})});
    const auto outputs = flat_.outputs_of(flat);
    if (outputs.size() > 3 && outputs[3] != kOmitted) {
      states_[static_cast<std::size_t>(outputs[3])] = {Kind::kData, sum};
    }
    return true;
  }
  if (type == "EmbedLayerNormalization") {
    NodeId sum = -1;
    for (const std::size_t n : {std::size_t{2}, std::size_t{3}, std::size_t{4}}) {
      if (!given(flat, n)) continue;
      const NodeId part = add("embedding"_op, {}, {});
      sum = sum < 0 ? part : add("add"_op, {}, {sum, part});
    }
    if (sum < 0) return false;
    set_outputs(flat, {Kind::kData, add("layer_norm"_op, {}, {sum})});
    return true;
  }
  if (type == "FusedConv") {
    if (!data(0)) return false;
    NodeId node = add("conv"_op, attributes_.convolution(flat), {operand(flat, 0).node});
    if (data(3)) node = add("add"_op, {}, {node, operand(flat, 3).node});
    set_outputs(flat, {Kind::kData, activation(flat, node)});
    return true;
  }
  if (type == "Attention" || type == "QAttention") {
    if (!data(0)) return false;
    const Shape& weight = facts_.input(flat, 1).shape;
    Attributes projection;
    projection.in_channels = to_int(weight.dim(0));
    projection.out_channels = to_int(weight.dim(1));
    const NodeId qkv = add("linear"_op, projection, {operand(flat, 0).node});
    Attributes heads;
    heads.heads = to_int(facts_.integer(flat, "num_heads", 0));
    set_outputs(flat, {Kind::kData, add("attention"_op, heads, {qkv, qkv, qkv})});
    return true;
  }
  return false;
}

Attributes Builder::attributes(const FlatNode& flat, OpId op) const {
  return attributes_.read(flat, op, [&](std::size_t n) {
    return given(flat, n) && operand(flat, n).kind == Kind::kConstant;
  });
}

void Builder::count_parameters(RawGraph& raw) const {
  std::unordered_set<const Tensor*> seen = statistics_;
  for (const FlatValue& value : flat_.values) {
    if (value.initializer == nullptr || !is_float(value.initializer->type)) continue;
    if (!seen.insert(value.initializer).second) continue;
    const std::int64_t room = std::numeric_limits<std::int64_t>::max() - raw.params;
    raw.params += std::min(room, value.initializer->elements);
  }
}

void Builder::outputs(RawGraph& raw) {
  for (const Kind wanted : {Kind::kData, Kind::kAuxiliary}) {
    if (!loose_.outputs.empty()) break;
    for (const ValueId id : flat_.outputs) {
      if (state(id).kind == wanted) loose_.outputs.push_back(state(id).node);
    }
  }
  if (loose_.outputs.empty()) {
    throw InvalidGraph(
        "no output of the graph depends on an input; export the network with its inputs");
  }
  OrderedGraph ordered = order_nodes(loose_);
  raw.graph = std::move(ordered.graph);
  raw.hyperparameters = select_rows(rows_.view(), ordered.old_id);
  raw.texts = std::move(texts_);
}

RawGraph Builder::run() {
  RawGraph raw;
  raw.opset = model_.opset;
  inputs();
  for (const FlatNode& flat : flat_.nodes) visit(flat);
  outputs(raw);
  count_parameters(raw);
  for (const ValueId id : flat_.inputs) {
    const ValueInfo* declared = flat_.values[static_cast<std::size_t>(id)].declared;
    if (declared->has_shape) raw.input_shapes.push_back(declared->dims);
    if (raw.input_shapes.size() == kMaxInputShapes) break;
  }
  raw.unknown.assign(unknown_.begin(), unknown_.end());
  return raw;
}

}  // namespace

RawGraph build_raw_graph(const Model& model) { return Builder(model).run(); }

RawGraph read_raw_graph(const std::string& path) {
  const Model model = read_model(path);
  try {
    return build_raw_graph(model);
  } catch (const InvalidGraph& error) {
    throw InvalidGraph(path + ": " + error.what());
  }
}

}  // namespace narfast::onnx
