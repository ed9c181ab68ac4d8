// Products by panels, sums over neighbours in the order of their colours' names.
#include "narfast/encoder/layers.h"

#include <cmath>
#include <numeric>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

constexpr std::size_t kGatHeads = 4;
constexpr float kLeak = 0.2f;  // slope of attention scores below zero

std::string text(const std::vector<std::size_t>& shape) {
  std::string result;
  for (const std::size_t side : shape)
    result += (result.empty() ? "" : ", ") + std::to_string(side);
  return "[" + result + "]";
}

std::vector<float> copy(std::span<const float> values) { return {values.begin(), values.end()}; }

Rows multiply(const Kernels& k, const PanelMatrix& matrix, std::span<const float> bias,
              const Rows& x) {
  Rows product(x.size(), matrix.width());
  matrix.multiply(k, x[0], x.stride(), x.size(), bias.empty() ? nullptr : bias.data(), product[0],
                  product.stride());
  return product;
}

}  // namespace

std::span<const float> Weights::get(const std::string& name,
                                    const std::vector<std::size_t>& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw CorruptFile("lacks tensor '" + name + "'");
  if (found->second.shape != shape)
    throw CorruptFile("tensor '" + name + "' has shape " + text(found->second.shape) +
                      ", the configuration promises " + text(shape));
  taken_.insert(name);
  return found->second.values;
}

void Weights::check_all_taken() const {
  for (const auto& [name, tensor] : tensors_)
    if (!taken_.contains(name)) throw CorruptFile("has the unexpected tensor '" + name + "'");
}

Linear::Linear(const Weights& weights, const std::string& name, std::size_t in, std::size_t out)
    : bias_(copy(weights.get(name + ".bias", {out}))) {
  const std::span<const float> parts[] = {weights.get(name + ".weight", {out, in})};
  matrix_ = PanelMatrix(parts, in);
  bias_.resize(matrix_.width());
}

Rows Linear::apply(const Kernels& k, const Rows& x) const { return multiply(k, matrix_, bias_, x); }

GraphLayers::GraphLayers(const Weights& weights, const std::string& prefix, LayerKind kind,
                         std::size_t in, std::size_t width, int count)
    : kind_(kind), width_(width) {
  for (int number = 0; number < count; ++number, in = width) {
    const std::string name = prefix + ".layers." + std::to_string(number);
    Layer layer;
    layer.in = in;
    if (kind == LayerKind::kBidirectional) {
      const std::span<const float> parts[] = {weights.get(name + ".own.weight", {width, in}),
                                              weights.get(name + ".incoming.weight", {width, in}),
                                              weights.get(name + ".outgoing.weight", {width, in})};
      layer.matrix = PanelMatrix(parts, in);
      layer.bias = copy(weights.get(name + ".own.bias", {width}));
      layer.weight = copy(weights.get(name + ".norm.weight", {width}));
      layer.bias_out = copy(weights.get(name + ".norm.bias", {width}));
    } else {
      const std::span<const float> parts[] = {weights.get(name + ".linear.weight", {width, in})};
      layer.matrix = PanelMatrix(parts, in);
      if (kind == LayerKind::kGcn) {
        layer.bias = copy(weights.get(name + ".linear.bias", {width}));
      } else {
        for (const char* score : {".source", ".target"}) {
          const auto values = weights.get(name + score, {kGatHeads, width / kGatHeads});
          layer.weight.insert(layer.weight.end(), values.begin(), values.end());
        }
        layer.bias_out = copy(weights.get(name + ".bias", {width}));
      }
    }
    layer.bias.resize(layer.matrix.width());
    layers_.push_back(std::move(layer));
  }
}

void GraphLayers::refine_features(const Links& links, std::vector<Hash128>& features) const {
  if (kind_ != LayerKind::kGcn) return;
  // A message is scaled by the degree of its sender.
  for (std::size_t node = 0; node < features.size(); ++node)
    features[node] =
        combine(features[node], hash_word(links.degree(static_cast<std::int32_t>(node))));
}

Rows GraphLayers::apply(const Kernels& k, Rows x, const Links& links,
                        std::span<const Coloring> colorings) const {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Coloring& before = colorings[l];
    const Coloring& after = colorings[l + 1];
    switch (kind_) {
      case LayerKind::kBidirectional:
        x = bidirectional(k, layers_[l], x, links, before, after);
        break;
      case LayerKind::kGcn:
        x = gcn(k, layers_[l], x, links, before, after);
        break;
      case LayerKind::kGat:
        x = gat(k, layers_[l], x, links, before, after);
        break;
    }
  }
  return x;
}

Rows GraphLayers::bidirectional(const Kernels& k, const Layer& layer, const Rows& x,
                                const Links& links, const Coloring& before,
                                const Coloring& after) const {
  const Rows product = multiply(k, layer.matrix, layer.bias, x);
  const std::size_t slot = whole_panels(width_);
  Rows result(after.num_colors(), width_);
  std::vector<ColorCount> neighbors;
  const auto add_mean = [&](std::span<const std::int32_t> nodes, std::size_t first, float* to) {
    if (nodes.empty()) return;
    count_colors(nodes, before, neighbors);
    const auto degree = static_cast<float>(nodes.size());
    for (const auto& [color, count] : neighbors)
      k.add_scaled(count / degree, product[index(color)] + first, to, width_);
  };
  for (std::size_t color = 0; color < result.size(); ++color) {
    const std::int32_t node = after.representative[color];
    const std::size_t own = index(before.color[index(node)]);
    float* row = result[color];
    k.add(product[own], row, width_);
    add_mean(links.sources(node), slot, row);
    add_mean(links.targets(node), 2 * slot, row);
    k.layer_norm(row, layer.weight.data(), layer.bias_out.data(), width_);
    k.gelu(row, width_);
    if (layer.in == width_) k.add(x[own], row, width_);
  }
  return result;
}

Rows GraphLayers::gcn(const Kernels& k, const Layer& layer, const Rows& x, const Links& links,
                      const Coloring& before, const Coloring& after) const {
  Rows product = multiply(k, layer.matrix, layer.bias, x);
  const auto scale_of = [&](std::int32_t node) {
    return 1.0f / std::sqrt(1.0f + static_cast<float>(links.degree(node)));
  };
  for (std::size_t color = 0; color < product.size(); ++color)
    k.scale(scale_of(before.representative[color]), product[color], width_);
  Rows result(after.num_colors(), width_);
  std::vector<ColorCount> neighbors;
  for (std::size_t color = 0; color < result.size(); ++color) {
    const std::int32_t node = after.representative[color];
    float* row = result[color];
    k.add(product[index(before.color[index(node)])], row, width_);
    for (const auto nodes : {links.sources(node), links.targets(node)}) {
      count_colors(nodes, before, neighbors);
      for (const auto& [other, count] : neighbors)
        k.add_scaled(count, product[index(other)], row, width_);
    }
    k.scale(scale_of(node), row, width_);
    k.relu(row, width_);
  }
  return result;
}

Rows GraphLayers::gat(const Kernels& k, const Layer& layer, const Rows& x, const Links& links,
                      const Coloring& before, const Coloring& after) const {
  const Rows product = multiply(k, layer.matrix, layer.bias, x);
  const std::size_t head_width = width_ / kGatHeads;
  Rows scores(product.size(), 2 * kGatHeads);  // as a source, then as a target, for each head
  for (std::size_t color = 0; color < product.size(); ++color)
    for (std::size_t s = 0; s < 2 * kGatHeads; ++s)
      scores[color][s] = k.dot(product[color] + s % kGatHeads * head_width,
                               layer.weight.data() + s * head_width, head_width);
  Rows result(after.num_colors(), width_);
  std::vector<ColorCount> senders, found;
  std::vector<float> weight;
  for (std::size_t color = 0; color < result.size(); ++color) {
    const std::int32_t node = after.representative[color];
    const std::int32_t own = before.color[index(node)];
    senders.assign(1, {own, 1.0f});
    for (const auto nodes : {links.sources(node), links.targets(node)}) {
      count_colors(nodes, before, found);
      senders.insert(senders.end(), found.begin(), found.end());
    }
    float* row = result[color];
    weight.resize(senders.size());
    for (std::size_t head = 0; head < kGatHeads; ++head) {
      float highest = -INFINITY;
      for (std::size_t i = 0; i < senders.size(); ++i) {
        const float score =
            scores[index(senders[i].color)][head] + scores[index(own)][kGatHeads + head];
        weight[i] = score < 0 ? kLeak * score : score;
        highest = std::max(highest, weight[i]);
      }
      for (float& w : weight) w -= highest;
      k.exp(weight.data(), weight.size());
      float total = 0;
      for (std::size_t i = 0; i < senders.size(); ++i)
        total = std::fma(senders[i].count, weight[i], total);
      for (std::size_t i = 0; i < senders.size(); ++i)
        k.add_scaled(senders[i].count * (weight[i] / total),
                     product[index(senders[i].color)] + head * head_width, row + head * head_width,
                     head_width);
    }
    k.add(layer.bias_out.data(), row, width_);
    k.elu(row, width_);
  }
  return result;
}

void read_out(const Kernels& k, std::span<const ReadoutKind> kinds, const Rows& x,
              std::size_t width, const Coloring& coloring, std::int32_t begin, std::int32_t end,
              float* to) {
  std::vector<std::int32_t> nodes(index(end - begin));
  std::iota(nodes.begin(), nodes.end(), begin);
  std::vector<ColorCount> colors;
  count_colors(nodes, coloring, colors);
  for (std::size_t i = 0; i < kinds.size(); ++i, to += width) {
    std::fill(to, to + width, kinds[i] == ReadoutKind::kMax && !nodes.empty() ? -INFINITY : 0.0f);
    for (const auto& [color, count] : colors) {
      const float* row = x[index(color)];
      switch (kinds[i]) {
        case ReadoutKind::kMean:
          k.add_scaled(count / static_cast<float>(nodes.size()), row, to, width);
          break;
        case ReadoutKind::kSumLog:
          k.add_scaled_positive(count, row, to, width);
          break;
        case ReadoutKind::kMax:
          k.maximum(row, to, width);
          break;
      }
    }
    if (kinds[i] == ReadoutKind::kSumLog) k.log1p(to, width);
  }
}

}  // namespace narfast
