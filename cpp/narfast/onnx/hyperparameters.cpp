#include "narfast/onnx/hyperparameters.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "narfast/graph/operators.h"

namespace narfast::onnx {
namespace {

using enum Hyperparameter;

constexpr std::size_t kMaxSides = 8;  // of a window; more is no network
constexpr std::int64_t kMostChannels = std::int64_t{1} << 48;

}  // namespace

void HyperparameterReader::read(const FlatNode& flat, OpId op, Hyperparameters& rows) const {
  switch (operator_table()[op].category) {
    case Category::kConvolution:
      window(flat, op, rows);
      channels(flat, rows);
      break;
    case Category::kPooling:
      window(flat, op, rows);
      break;
    case Category::kNormalization:
      norm(flat, op, rows);
      break;
    case Category::kAttention:
      attention(flat, rows);
      break;
    case Category::kRecurrent:
      recurrent(flat, rows);
      break;
    case Category::kReduction:
      for (const std::int64_t axis : facts_.reduced_axes(flat)) rows.add(kAxes, axis);
      break;
    default:
      break;
  }
  if (op == "softmax"_op) {
    const Shape& scores = facts_.input(flat, 0).shape;  // (batch, heads, queries, keys)
    const std::int64_t axis = facts_.integer(flat, "axis", -1);
    rows.add(kAxes, axis < 0 && scores.rank > 0 ? axis + scores.rank : axis);
    const bool last = axis == -1 || axis == scores.rank - 1;
    if (scores.rank == 4 && last && scores.dim(1) != kUnknownDim) rows.add(kHeads, scores.dim(1));
  } else if (op == "leaky_relu"_op) {
    const Attribute* alpha = flat_.attribute(flat, "alpha");
    const double slope = alpha != nullptr && alpha->has_real ? alpha->real : 0.01;
    if (std::abs(slope) < 1e6) rows.add(kSlope, std::llround(slope * 1e6));
  } else if (op == "embedding"_op) {
    const Shape& table = facts_.input(flat, 0).shape;
    if (table.rank == 2 && table.elements() >= 0) {
      rows.add(kInChannels, table.dim(0));
      rows.add(kOutChannels, table.dim(1));
    }
  } else if (op == "pad"_op) {
    const auto pads = facts_.list(flat, "pads", 1);
    if (pads && pads->size() >= 4 && pads->size() % 2 == 0 && pads->size() <= 2 * kMaxSides) {
      const std::size_t axes = pads->size() / 2;  // batch and channels first
      for (std::size_t i = 2; i < axes; ++i)
        rows.add(kPadding, std::max((*pads)[i], (*pads)[i + axes]));
    }
  } else if (op == "resize"_op && flat.outputs == 1) {
    const Shape& result = facts_.fact(flat_.outputs_of(flat)[0]).shape;
    for (int axis = 2; axis < result.rank && result.elements() >= 0; ++axis)
      rows.add(kOutputSize, result.dim(axis));
  }
}

void HyperparameterReader::window(const FlatNode& flat, OpId op, Hyperparameters& rows) const {
  const auto numbers = [&](std::string_view name) {
    return facts_.list(flat, name, kAttributeOnly).value_or(std::vector<std::int64_t>{});
  };
  std::vector<std::int64_t> kernel = numbers("kernel_shape");
  if (kernel.empty() && operator_table()[op].category == Category::kConvolution) {
    const Shape& weight = facts_.input(flat, flat.node->type == "QLinearConv" ? 3 : 1).shape;
    for (int axis = 2; axis < weight.rank; ++axis) kernel.push_back(weight.dim(axis));
  }
  const bool known = std::all_of(kernel.begin(), kernel.end(), [](auto side) { return side > 0; });
  if (kernel.empty() || kernel.size() > kMaxSides || !known) return;
  const auto sides = [&](Hyperparameter what, std::vector<std::int64_t> values) {
    values.resize(kernel.size(), 1);  // the default of strides and dilations
    for (const std::int64_t value : values) rows.add(what, value);
  };
  for (const std::int64_t side : kernel) rows.add(kKernel, side);
  sides(kStride, numbers("strides"));
  sides(kDilation, numbers("dilations"));
  const Attribute* automatic = flat_.attribute(flat, "auto_pad");
  if (automatic != nullptr && automatic->text.substr(0, 4) == "SAME") return;
  std::vector<std::int64_t> pads = numbers("pads");
  pads.resize(2 * kernel.size(), 0);
  for (std::size_t i = 0; i < kernel.size(); ++i)
    rows.add(kPadding, std::max(pads[i], pads[i + kernel.size()]));
}

void HyperparameterReader::channels(const FlatNode& flat, Hyperparameters& rows) const {
  const Attributes a = attributes_.convolution(flat, flat.node->type == "ConvTranspose");
  if (a.groups > 0) rows.add(kGroups, a.groups);
  if (a.in_channels > 0) rows.add(kInChannels, a.in_channels);
  if (a.out_channels > 0) rows.add(kOutChannels, a.out_channels);
}

void HyperparameterReader::norm(const FlatNode& flat, OpId op, Hyperparameters& rows) const {
  const std::int64_t groups = facts_.integer(flat, "num_groups", facts_.integer(flat, "groups", 0));
  if (op == "group_norm"_op && groups > 0) rows.add(kNormGroups, groups);
  // The learnt scale is the first vector among the operands.
  for (std::size_t n = 1; n < flat.inputs; ++n) {
    const Shape& scale = facts_.input(flat, n).shape;
    if (scale.rank != 1 || scale.dim(0) <= 1) continue;
    rows.add(kNormSize, scale.dim(0));
    return;
  }
}

void HyperparameterReader::attention(const FlatNode& flat, Hyperparameters& rows) const {
  const bool standard = flat.node->domain.empty();
  const std::int64_t heads = facts_.integer(flat, standard ? "q_num_heads" : "num_heads", 0);
  const std::int64_t keys = facts_.integer(flat, "kv_num_heads", 0);
  if (heads > 0) rows.add(kHeads, heads);
  if (keys > 0 && keys != heads) rows.add(kKeyHeads, keys);
  const Shape& query = facts_.input(flat, 0).shape;
  if (heads <= 0 && query.rank == 4 && query.dim(1) > 0) rows.add(kHeads, query.dim(1));
  if (query.rank == 4 && query.dim(3) > 0) rows.add(kHeadSize, query.dim(3));
}

void HyperparameterReader::recurrent(const FlatNode& flat, Hyperparameters& rows) const {
  const Shape& weight = facts_.input(flat, 1).shape;  // (directions, gates * hidden, input)
  const std::int64_t hidden = facts_.integer(flat, "hidden_size", 0);
  if (weight.rank == 3 && weight.dim(2) > 0) rows.add(kInChannels, weight.dim(2));
  if (hidden > 0 && hidden < kMostChannels && weight.rank == 3 && weight.dim(0) > 0)
    rows.add(kOutChannels, hidden * std::min<std::int64_t>(weight.dim(0), 2));
}

std::optional<std::string> module_path(const Node& node) {
  // A list of texts in quotes, from the outside in; the last one names the operator itself.
  if (!node.scopes.empty()) {
    std::vector<std::string_view> scopes;
    std::string_view rest = node.scopes;
    for (auto open = rest.find('\''); open != std::string_view::npos; open = rest.find('\'')) {
      rest.remove_prefix(open + 1);
      const auto close = rest.find('\'');
      if (close == std::string_view::npos) break;
      scopes.push_back(rest.substr(0, close));
      rest.remove_prefix(close + 1);
    }
    if (scopes.size() >= 2) return printable(scopes[scopes.size() - 2]);
  }
  if (node.name.substr(0, 1) != "/") return std::nullopt;
  std::string path;
  std::string_view rest = node.name.substr(1), before;
  for (auto slash = rest.find('/'); slash != std::string_view::npos; slash = rest.find('/')) {
    std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    // Children of a list repeat its name: layer1, then layer1.0.
    const std::string_view whole = part;
    if (!before.empty() && part.size() > before.size() && part[before.size()] == '.' &&
        part.substr(0, before.size()) == before)
      part.remove_prefix(before.size() + 1);
    before = whole;
    path += (path.empty() ? "" : ".") + std::string(part);
  }
  return printable(path);
}

std::optional<std::string> module_of_parameter(std::string_view name) {
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name.find("::") != std::string_view::npos ||
      name.find('/') != std::string_view::npos)
    return std::nullopt;
  return printable(name.substr(0, dot));
}

}  // namespace narfast::onnx
