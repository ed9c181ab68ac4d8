// Hyperparameters and module paths of ONNX models written by hand.
#include "narfast/onnx/hyperparameters.h"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "narfast/graph/operators.h"
#include "narfast/onnx/raw_graph.h"
#include "narfast/testing/onnx_bytes.h"

namespace narfast::onnx {
namespace {

using namespace bytes;
using enum Hyperparameter;
using Row = std::map<Hyperparameter, std::vector<std::int64_t>>;

// The row of the one operator of this name; a path is the number of its text.
Row row_of(const std::string& graph, std::string_view op) {
  const std::string file = model(graph);
  const RawGraph raw = build_raw_graph(
      parse_model({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}));
  validate(raw.hyperparameters.view(), raw.graph.view().num_nodes());
  Row row;
  int found = 0;
  for (std::size_t node = 0; node < raw.graph.op.size(); ++node) {
    if (operator_table()[raw.graph.op[node]].name != op) continue;
    ++found;
    for (auto i = raw.hyperparameters.ptr[node]; i < raw.hyperparameters.ptr[node + 1]; ++i)
      row[static_cast<Hyperparameter>(raw.hyperparameters.key[index(i)])].push_back(
          raw.hyperparameters.value[index(i)]);
  }
  REQUIRE(found == 1);
  row.erase(kPath);
  return row;
}

std::string integer(std::string_view name, std::uint64_t value) {
  return message(5, message(1, name) + number(3, value));
}

std::string weight(std::string_view name, std::initializer_list<std::uint64_t> dims) {
  return message(5, tensor(name, dims, 1, {}));
}

const std::string kInput = value(11, "x", {1, 8, 16, 16});
const std::string kOutput = value(12, "y", {});

TEST_CASE("the window of a convolution, said or read off its weight") {
  const std::string net = kInput + kOutput + weight("w", {16, 2, 3, 5}) + weight("b", {16});
  const Row widths{{kGroups, {4}}, {kInChannels, {8}}, {kOutChannels, {16}}, {kParams, {496}}};
  Row expected = widths;
  expected[kKernel] = {3, 5};
  expected[kStride] = {2, 1};
  expected[kDilation] = {1, 2};
  expected[kPadding] = {1, 4};
  CHECK(row_of(net + node("Conv", {"x", "w", "b"}, {"y"},
                          integer("group", 4) + ints("strides", {2, 1}) +
                              ints("dilations", {1, 2}) + ints("pads", {0, 4, 1, 3})),
               "conv") == expected);
  expected[kStride] = expected[kDilation] = {1, 1};
  expected[kPadding] = {0, 0};
  CHECK(row_of(net + node("Conv", {"x", "w", "b"}, {"y"}, integer("group", 4)), "conv") ==
        expected);
  expected.erase(kPadding);  // depends on the input
  CHECK(row_of(net + node("Conv", {"x", "w", "b"}, {"y"},
                          integer("group", 4) +
                              message(5, message(1, "auto_pad") + message(4, "SAME_UPPER"))),
               "conv") == expected);
}

TEST_CASE("lists that fit no window") {
  const std::string net = kInput + kOutput;
  const Row pooled = row_of(net + node("MaxPool", {"x"}, {"y"},
                                       ints("kernel_shape", {3, 3}) + ints("strides", {2}) +
                                           ints("pads", {1, 1, 1, 1, 7, 7})),
                            "max_pool");
  CHECK(pooled.at(kKernel) == std::vector<std::int64_t>{3, 3});
  CHECK(pooled.at(kStride).size() == 2);
  CHECK(pooled.at(kPadding).size() == 2);
  const auto negative = ~std::uint64_t{0};
  for (const auto& kernel :
       {ints("kernel_shape", {}), ints("kernel_shape", {3, 0}), ints("kernel_shape", {negative, 3}),
        ints("kernel_shape", {1, 1, 1, 1, 1, 1, 1, 1, 1})})
    CHECK(row_of(net + node("LpPool", {"x"}, {"y"}, kernel), "lp_pool").empty());
}

TEST_CASE("norms, heads, and widths of recurrent layers") {
  const std::string net = kInput + kOutput;
  CHECK(row_of(net + weight("s", {8}) + weight("b", {8}) + weight("m", {8}) + weight("v", {8}) +
                   node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"}),
               "batch_norm")
            .at(kNormSize) == std::vector<std::int64_t>{8});
  CHECK(row_of(net + node("Softmax", {"x"}, {"y"}), "softmax") == Row{{kHeads, {8}}, {kAxes, {3}}});
  CHECK(row_of(net + node("ReduceMean", {"x"}, {"y"}, ints("axes", {2, 3})), "mean") ==
        Row{{kAxes, {2, 3}}});
  const std::string sequence = value(11, "x", {10, 1, 64}) + kOutput;
  const auto lstm = [&](std::uint64_t hidden) {
    return row_of(sequence + weight("w", {2, 128, 64}) + weight("r", {2, 128, 32}) +
                      node("LSTM", {"x", "w", "r"}, {"y"}, integer("hidden_size", hidden)),
                  "lstm");
  };
  CHECK(lstm(32).at(kOutChannels) == std::vector<std::int64_t>{64});
  CHECK(lstm(32).at(kInChannels) == std::vector<std::int64_t>{64});
  CHECK(lstm(~std::uint64_t{0} / 2).count(kOutChannels) == 0);
}

TEST_CASE("the path of a module, by scopes or by the name of a node") {
  const auto path = [](std::string_view scopes, std::string_view name) {
    Node node;
    node.scopes = scopes;
    node.name = name;
    return module_path(node);
  };
  CHECK(path("['', 'layer1', 'layer1.0.conv1', 'conv2d']", "node_1") == "layer1.0.conv1");
  CHECK(path("['', 'relu']", "") == "");
  CHECK(path("['relu']", "node") == std::nullopt);
  CHECK(path("['', 'open", "node") == std::nullopt);
  CHECK(path("", "/layer1/layer1.0/conv1/Conv") == "layer1.0.conv1");
  CHECK(path("", "/Conv") == "");
  CHECK(path("", "/blocks/blocks.10/blocks.10.1/Add") == "blocks.10.1");
  CHECK(path("", "Conv_12") == std::nullopt);
  CHECK(path("", "") == std::nullopt);
}

TEST_CASE("the module that holds a parameter") {
  CHECK(module_of_parameter("layer1.0.conv1.weight") == "layer1.0.conv1");
  CHECK(module_of_parameter("weight") == std::nullopt);
  CHECK(module_of_parameter(".weight") == std::nullopt);
  CHECK(module_of_parameter("onnx::Conv_497") == std::nullopt);
  CHECK(module_of_parameter("model/dense/kernel.1") == std::nullopt);
  CHECK(module_of_parameter("") == std::nullopt);
}

}  // namespace
}  // namespace narfast::onnx
