// Writes convolutional networks layer by layer, as a trace of their PyTorch modules would. The
// cells of a search space are in the file of that space.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "narfast/graph/graph.h"
#include "narfast/graph/hyperparameters.h"

namespace narfast {

/// A value in a network: the node that computes it, and its size (batch of one).
struct Feature {
  NodeId node = -1;
  int channels = 0;
  int height = 0;
  int width = 0;
};

/// Options of a convolution without bias whose padding keeps the size but for the stride.
struct Convolution {
  int channels = 0;  // of the output
  int kernel_height = 1;
  int kernel_width = 1;
  int stride_height = 1;
  int stride_width = 1;
  int groups = 1;
  int dilation = 1;
};
[[nodiscard]] inline Convolution square_convolution(int channels, int kernel, int stride = 1) {
  return {channels, kernel, kernel, stride, stride, 1, 1};
}

/// A finished network: its graph in the order of `order_nodes`, and its size.
struct Network {
  Graph graph;
  Hyperparameters hyperparameters;
  std::int64_t params = 0;  // of every layer written
  std::int64_t flops = 0;   // of convolutions and linear layers that the output needs

  bool operator==(const Network&) const = default;
};

class NetworkWriter {
 public:
  [[nodiscard]] Feature input(int channels, int side);
  [[nodiscard]] Feature convolution(Feature x, const Convolution& options);
  [[nodiscard]] Feature batch_norm(Feature x);
  [[nodiscard]] Feature relu(Feature x);
  [[nodiscard]] Feature add(Feature a, Feature b);
  /// Along channels. The result has `channels`, more than its pieces if some of them are zero.
  [[nodiscard]] Feature concat(std::span<const Feature> pieces, int channels);
  /// Windows of 3x3 with padding.
  [[nodiscard]] Feature max_pool_3x3(Feature x, int stride);
  [[nodiscard]] Feature avg_pool_3x3(Feature x, int stride);
  /// Windows side by side, without padding; one average over all is a global one.
  [[nodiscard]] Feature max_pool(Feature x, int side);
  [[nodiscard]] Feature avg_pool(Feature x, int side);
  /// The first `channels` channels.
  [[nodiscard]] Feature first_channels(Feature x, int channels);
  /// x[:, :, 1:, 1:], for one half of a factorized reduction.
  [[nodiscard]] Feature shifted(Feature x);
  [[nodiscard]] Feature times_zero(Feature x);
  [[nodiscard]] Feature global_average(Feature x);
  [[nodiscard]] Feature flatten(Feature x);
  [[nodiscard]] Feature classifier(Feature x, int classes);

  /// The part of the network that `output` needs.
  [[nodiscard]] Network finish(Feature output) const;

 private:
  [[nodiscard]] Feature append(OpId op, Attr attr, std::span<const NodeId> inputs, Feature size,
                               std::int64_t flops = 0);
  // Hyperparameters of the last node; a window comes before weights.
  void set_window(std::array<int, 2> kernel, std::array<int, 2> stride, int dilation,
                  std::array<int, 2> padding);
  void set_weights(int in_channels, int out_channels, std::int64_t weights);
  [[nodiscard]] Feature pool(OpId op, Feature x, int kernel, int stride, int padding);

  LooseGraph graph_;
  Hyperparameters rows_;             // the row of a node is open until the next node or `finish`
  std::vector<std::int64_t> flops_;  // of each node
  std::int64_t params_ = 0;
};

/// Many networks, concatenated, with the sizes of each.
struct NetworkBatch {
  GraphBatch graphs;
  Hyperparameters hyperparameters;
  std::vector<std::int64_t> params;
  std::vector<std::int64_t> flops;
};

/// Calls `write(i)` for every i below `count`, on up to `num_threads` threads.
[[nodiscard]] NetworkBatch write_networks(std::size_t count, int num_threads,
                                          const std::function<Network(std::size_t)>& write);

}  // namespace narfast
