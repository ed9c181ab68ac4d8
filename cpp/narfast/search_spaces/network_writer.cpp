// One method per kind of layer: its node, its attributes, its parameters and operations.
#include "narfast/search_spaces/network_writer.h"

#include <algorithm>
#include <array>

#include "narfast/base/parallel.h"
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"

namespace narfast {
namespace {

// The length of one side after a window with padding of half its size.
int strided(int side, int stride) { return (side - 1) / stride + 1; }

}  // namespace

Feature NetworkWriter::append(OpId op, Attr attr, std::span<const NodeId> inputs, Feature size,
                              std::int64_t flops) {
  size.node = static_cast<NodeId>(graph_.op.size());
  graph_.op.push_back(op);
  graph_.attr.push_back(attr);
  graph_.in_src.insert(graph_.in_src.end(), inputs.begin(), inputs.end());
  graph_.in_ptr.push_back(static_cast<Offset>(graph_.in_src.size()));
  flops_.push_back(flops);
  if (graph_.op.size() > 1) rows_.end_row();
  return size;
}

void NetworkWriter::set_weights(int in_channels, int out_channels, std::int64_t weights) {
  params_ += weights;
  rows_.add(Hyperparameter::kInChannels, in_channels);
  rows_.add(Hyperparameter::kOutChannels, out_channels);
  rows_.add(Hyperparameter::kParams, weights);
}

void NetworkWriter::set_window(std::array<int, 2> kernel, std::array<int, 2> stride, int dilation,
                               std::array<int, 2> padding) {
  for (const int side : kernel) rows_.add(Hyperparameter::kKernel, side);
  for (const int side : stride) rows_.add(Hyperparameter::kStride, side);
  for (int side = 0; side < 2; ++side) rows_.add(Hyperparameter::kDilation, dilation);
  for (const int side : padding) rows_.add(Hyperparameter::kPadding, side);
}

Feature NetworkWriter::input(int channels, int side) {
  return append("input"_op, 0, {}, {-1, channels, side, side});
}

Feature NetworkWriter::convolution(Feature x, const Convolution& options) {
  Attributes attributes;
  attributes.kernel = std::max(options.kernel_height, options.kernel_width);
  attributes.stride = std::max(options.stride_height, options.stride_width);
  attributes.groups = options.groups;
  attributes.in_channels = x.channels;
  attributes.out_channels = options.channels;
  attributes.dilation = options.dilation;
  attributes.spatial_rank = 2;
  attributes.square = options.kernel_height == options.kernel_width;
  const Feature size{-1, options.channels, strided(x.height, options.stride_height),
                     strided(x.width, options.stride_width)};
  const std::int64_t weights = std::int64_t{x.channels / options.groups} * options.channels *
                               options.kernel_height * options.kernel_width;
  const Feature result = append("conv"_op, pack_attributes(attributes), std::array{x.node}, size,
                                2 * weights * size.height * size.width);
  const auto padding = [&](int kernel) { return options.dilation * (kernel - 1) / 2; };
  set_window({options.kernel_height, options.kernel_width},
             {options.stride_height, options.stride_width}, options.dilation,
             {padding(options.kernel_height), padding(options.kernel_width)});
  rows_.add(Hyperparameter::kGroups, options.groups);
  set_weights(x.channels, options.channels, weights);
  return result;
}

Feature NetworkWriter::batch_norm(Feature x) {
  const Feature result = append("batch_norm"_op, 0, std::array{x.node}, x);
  rows_.add(Hyperparameter::kNormSize, x.channels);
  rows_.add(Hyperparameter::kParams, std::int64_t{2} * x.channels);
  params_ += std::int64_t{2} * x.channels;
  return result;
}

Feature NetworkWriter::relu(Feature x) { return append("relu"_op, 0, std::array{x.node}, x); }

Feature NetworkWriter::add(Feature a, Feature b) {
  return append("add"_op, 0, std::array{a.node, b.node}, a);
}

Feature NetworkWriter::concat(std::span<const Feature> pieces, int channels) {
  std::vector<NodeId> inputs;
  for (const Feature& piece : pieces) inputs.push_back(piece.node);
  Feature size = pieces.front();
  size.channels = channels;
  return append("concat"_op, 0, inputs, size);
}

Feature NetworkWriter::pool(OpId op, Feature x, int kernel, int stride, int padding) {
  Attributes attributes;
  attributes.kernel = kernel;
  attributes.stride = stride;
  attributes.dilation = 1;
  attributes.spatial_rank = 2;
  const auto places = [&](int side) { return (side + 2 * padding - kernel) / stride + 1; };
  const Feature result = append(op, pack_attributes(attributes), std::array{x.node},
                                {-1, x.channels, places(x.height), places(x.width)});
  set_window({kernel, kernel}, {stride, stride}, 1, {padding, padding});
  return result;
}

Feature NetworkWriter::max_pool_3x3(Feature x, int stride) {
  return pool("max_pool"_op, x, 3, stride, 1);
}

Feature NetworkWriter::avg_pool_3x3(Feature x, int stride) {
  return pool("avg_pool"_op, x, 3, stride, 1);
}

Feature NetworkWriter::max_pool(Feature x, int side) {
  return pool("max_pool"_op, x, side, side, 0);
}

Feature NetworkWriter::avg_pool(Feature x, int side) {
  if (x.height <= side && x.width <= side)
    return append("global_avg_pool"_op, 0, std::array{x.node}, {-1, x.channels, 1, 1});
  return pool("avg_pool"_op, x, side, side, 0);
}

Feature NetworkWriter::first_channels(Feature x, int channels) {
  return append("slice"_op, 0, std::array{x.node}, {-1, channels, x.height, x.width});
}

Feature NetworkWriter::shifted(Feature x) {
  // One slice for each of both axes.
  const Feature rows =
      append("slice"_op, 0, std::array{x.node}, {-1, x.channels, x.height - 1, x.width});
  return append("slice"_op, 0, std::array{rows.node}, {-1, x.channels, x.height - 1, x.width - 1});
}

Feature NetworkWriter::times_zero(Feature x) {
  return append("mul"_op, attr::kScalarOperand, std::array{x.node}, x);
}

Feature NetworkWriter::global_average(Feature x) {
  return append("mean"_op, attr::kSpaceAxes, std::array{x.node}, {-1, x.channels, 1, 1});
}

Feature NetworkWriter::flatten(Feature x) { return append("reshape"_op, 0, std::array{x.node}, x); }

Feature NetworkWriter::classifier(Feature x, int classes) {
  Attributes attributes;
  attributes.in_channels = x.channels;
  attributes.out_channels = classes;
  const Feature result = append("linear"_op, pack_attributes(attributes), std::array{x.node},
                                {-1, classes, 1, 1}, std::int64_t{2} * x.channels * classes);
  set_weights(x.channels, classes, (std::int64_t{x.channels} + 1) * classes);
  return result;
}

Network NetworkWriter::finish(Feature output) const {
  LooseGraph loose = graph_;
  loose.outputs = {output.node};
  OrderedGraph ordered = order_nodes(loose);
  std::int64_t flops = 0;
  for (NodeId node : ordered.old_id) flops += flops_[static_cast<std::size_t>(node)];
  Hyperparameters rows = rows_;
  rows.end_row();  // of the last node
  return {std::move(ordered.graph), select_rows(rows.view(), ordered.old_id), params_, flops};
}

NetworkBatch write_networks(std::size_t count, int num_threads,
                            const std::function<Network(std::size_t)>& write) {
  NetworkBatch batch;
  std::vector<Graph> graphs(count);
  std::vector<Hyperparameters> rows(count);
  batch.params.resize(count);
  batch.flops.resize(count);
  parallel_for(count, num_threads, [&](std::size_t i) {
    Network network = write(i);
    graphs[i] = std::move(network.graph);
    rows[i] = std::move(network.hyperparameters);
    batch.params[i] = network.params;
    batch.flops[i] = network.flops;
  });
  batch.graphs = concatenate(graphs);
  for (const Hyperparameters& part : rows) batch.hyperparameters.append(part.view());
  return batch;
}

}  // namespace narfast
