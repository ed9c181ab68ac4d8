// Layers one at a time: their nodes, sizes, parameters and operations.
#include "narfast/search_spaces/network_writer.h"

#include <doctest/doctest.h>

#include <array>

#include "narfast/graph/attributes.h"
#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

using testing::Names;
using testing::op_names;

TEST_CASE("a convolution has its attributes, size, weights and operations") {
  NetworkWriter net;
  Convolution options = square_convolution(32, 5, 2);
  options.groups = 16;
  options.dilation = 2;
  const Feature x = net.convolution(net.input(16, 9), options);
  CHECK(x.channels == 32);
  CHECK(x.height == 5);
  CHECK(x.width == 5);
  const Network network = net.finish(x);
  CHECK(network.params == 32 * 5 * 5);
  CHECK(network.flops == 2 * 32 * 5 * 5 * 5 * 5);
  Attributes attributes;
  attributes.kernel = 5;
  attributes.stride = attributes.dilation = attributes.spatial_rank = 2;
  attributes.groups = attributes.in_channels = 16;
  attributes.out_channels = 32;
  CHECK(network.graph.attr[1] == pack_attributes(attributes));
}

TEST_CASE("a row that strides along one side keeps the other") {
  NetworkWriter net;
  const Feature x = net.convolution(net.input(4, 8), {4, 1, 7, 1, 2, 1, 1});
  CHECK(x.height == 8);
  CHECK(x.width == 4);
  CHECK((net.finish(x).graph.attr[1] & attr::kNonSquare) != 0);
}

TEST_CASE("pooling windows keep the size, halve it, or tile it") {
  NetworkWriter net;
  const Feature x = net.input(4, 14);
  CHECK(net.max_pool_3x3(x, 1).height == 14);
  CHECK(net.avg_pool_3x3(x, 2).width == 7);
  CHECK(net.max_pool(x, 2).height == 7);
  CHECK(net.avg_pool(x, 7).width == 2);
}

TEST_CASE("what the output does not need is no part of the graph, but has parameters") {
  NetworkWriter net;
  const Feature x = net.input(3, 8);
  (void)net.batch_norm(net.convolution(x, square_convolution(4, 3)));
  const Feature y = net.global_average(net.relu(x));
  const Network network = net.finish(net.classifier(net.flatten(y), 10));
  CHECK(op_names(network.graph.view()) == Names{"input", "relu", "mean", "reshape", "linear"});
  CHECK(network.params == 3 * 4 * 9 + 2 * 4 + (3 + 1) * 10);
  CHECK(network.flops == 2 * 3 * 10);
}

TEST_CASE("a concatenation can be wider than its pieces") {
  NetworkWriter net;
  const Feature x = net.input(3, 8);
  CHECK(net.concat(std::array{x, net.relu(x)}, 12).channels == 12);
}

TEST_CASE("a batch does not depend on the number of threads") {
  const auto write = [](std::size_t i) {
    NetworkWriter net;
    Feature x = net.input(3, 8);
    for (std::size_t layer = 0; layer < i; ++layer) x = net.relu(x);
    return net.finish(net.classifier(net.flatten(net.global_average(x)), static_cast<int>(i + 1)));
  };
  const NetworkBatch one = write_networks(20, 1, write), three = write_networks(20, 3, write);
  CHECK(one.graphs == three.graphs);
  CHECK(one.params == three.params);
  CHECK(one.params[4] == 4 * 5);
  CHECK(one.graphs.view()[4].num_nodes() == 8);
  validate(one.graphs.view());
}

}  // namespace
}  // namespace narfast
