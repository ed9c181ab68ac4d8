// Graph layers and readouts over distinct places: every colour is computed once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "narfast/encoder/color_refinement.h"
#include "narfast/encoder/kernels.h"
#include "narfast/encoder/settings.h"

namespace narfast {

/// Rows of floats; each begins at a multiple of `stride`, which is whole panels.
class Rows {
 public:
  Rows(std::size_t count, std::size_t width)
      : stride_(whole_panels(width)), values_(count * stride_, 0.0f), count_(count) {}

  [[nodiscard]] float* operator[](std::size_t row) { return values_.data() + row * stride_; }
  [[nodiscard]] const float* operator[](std::size_t row) const {
    return values_.data() + row * stride_;
  }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::size_t stride() const { return stride_; }

 private:
  std::size_t stride_;
  std::vector<float> values_;
  std::size_t count_;
};

/// A linear layer with bias.
class Linear {
 public:
  /// Takes `name`.weight [out, in] and `name`.bias [out].
  Linear(const Weights& weights, const std::string& name, std::size_t in, std::size_t out);

  [[nodiscard]] Rows apply(const Kernels& k, const Rows& x) const;

 private:
  PanelMatrix matrix_;
  std::vector<float> bias_;
};

/// Layers of one kind, one after the other, as `narfast.nn.layers` defines them for training.
///
/// Products come before sums over neighbours (both are linear), so that layer l multiplies one row
/// for each colour after l - 1 rounds, and only adds for each after l.
class GraphLayers {
 public:
  /// Takes the tensors under `prefix`.layers.
  GraphLayers(const Weights& weights, const std::string& prefix, LayerKind kind, std::size_t in,
              std::size_t width, int count);

  [[nodiscard]] int count() const { return static_cast<int>(layers_.size()); }

  /// Extends the names of node features by everything else that the layers read of a node.
  void refine_features(const Links& links, std::vector<Hash128>& features) const;

  /// Rows for the colours after `count()` rounds, from rows for those after none.
  [[nodiscard]] Rows apply(const Kernels& k, Rows x, const Links& links,
                           std::span<const Coloring> colorings) const;

 private:
  struct Layer {
    std::size_t in = 0;
    PanelMatrix matrix;           // bidirectional: own, incoming and outgoing side by side
    std::vector<float> bias;      // of the product, whole panels
    std::vector<float> weight;    // bidirectional: of the norm; gat: source and target scores
    std::vector<float> bias_out;  // bidirectional: of the norm; gat: after the sum
  };

  [[nodiscard]] Rows bidirectional(const Kernels& k, const Layer& layer, const Rows& x,
                                   const Links& links, const Coloring& before,
                                   const Coloring& after) const;
  [[nodiscard]] Rows gcn(const Kernels& k, const Layer& layer, const Rows& x, const Links& links,
                         const Coloring& before, const Coloring& after) const;
  [[nodiscard]] Rows gat(const Kernels& k, const Layer& layer, const Rows& x, const Links& links,
                         const Coloring& before, const Coloring& after) const;

  LayerKind kind_;
  std::size_t width_;
  std::vector<Layer> layers_;
};

/// Writes summaries of the nodes [begin, end) side by side to `to`, `width` floats for each kind. A
/// colour weighs as many times as it has nodes.
void read_out(const Kernels& k, std::span<const ReadoutKind> kinds, const Rows& x,
              std::size_t width, const Coloring& coloring, std::int32_t begin, std::int32_t end,
              float* to);

}  // namespace narfast
