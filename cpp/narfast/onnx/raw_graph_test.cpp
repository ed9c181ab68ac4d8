// Raw graphs from hand-assembled ONNX models.
#include "narfast/onnx/raw_graph.h"

#include <doctest/doctest.h>

#include <string>

#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"
#include "narfast/testing/onnx_bytes.h"

namespace narfast::onnx {
namespace {

using namespace bytes;
using Ops = std::vector<std::string_view>;

RawGraph build(const std::string& file) {
  return build_raw_graph(
      parse_model({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}));
}

Ops names(const RawGraph& raw) {
  Ops result;
  for (const OpId op : raw.graph.op) result.push_back(operator_table()[op].name);
  return result;
}

std::string message_of(const std::string& file) {
  try {
    (void)build(file);
  } catch (const InvalidGraph& error) {
    return error.what();
  }
  return "";
}

const std::string kInput = value(11, "x", {1, 8, 4, 4});
const std::string kOutput = value(12, "y", {});

/// int64 tensor as an initializer.
std::string indices(std::string_view name, std::initializer_list<std::uint64_t> values) {
  std::string raw;
  for (std::uint64_t v : values) {
    for (int i = 0; i < 8; ++i, v >>= 8) raw += static_cast<char>(v & 0xFF);
  }
  return message(5, tensor(name, {values.size()}, 7, raw));
}

std::string weight(std::string_view name, std::initializer_list<std::uint64_t> dims) {
  return message(5, tensor(name, dims, 1, {}));
}

TEST_CASE("a convolution takes its attributes from its weight") {
  const RawGraph raw =
      build(model(kInput + kOutput + weight("w", {16, 1, 3, 3}) + weight("b", {16}) +
                  node("Conv", {"x", "w", "b"}, {"y"},
                       message(5, message(1, "group") + number(3, 8)) + ints("strides", {2, 2}))));
  CHECK(names(raw) == Ops{"input", "conv"});
  CHECK(raw.graph.attr[1] == pack_attributes({.kernel = 3,
                                              .stride = 2,
                                              .groups = 8,
                                              .in_channels = 8,
                                              .out_channels = 16,
                                              .spatial_rank = 2}));
  CHECK(raw.params == 16 * 9 + 16);
  CHECK(raw.input_shapes == std::vector<std::vector<std::int64_t>>{{1, 8, 4, 4}});
}

TEST_CASE("shape arithmetic dies, constants become attributes") {
  const RawGraph raw = build(model(
      kInput + kOutput + indices("zero", {0}) + indices("rest", {~std::uint64_t{0}}) +
      weight("w", {128, 32}) + weight("bias", {32}) + weight("two", {}) +
      node("Shape", {"x"}, {"s"}) + node("Gather", {"s", "zero"}, {"n"}) +
      node("Concat", {"n", "rest"}, {"target"}, message(5, message(1, "axis") + number(3, 0))) +
      node("Reshape", {"x", "target"}, {"flat"}) + node("MatMul", {"flat", "w"}, {"m"}) +
      node("Add", {"bias", "m"}, {"a"}) + node("Div", {"two", "a"}, {"y"})));
  CHECK(names(raw) == Ops{"input", "reshape", "linear", "add", "div"});
  CHECK(raw.graph.attr[2] == pack_attributes({.in_channels = 128, .out_channels = 32}));
  CHECK(raw.graph.attr[3] == pack_attributes({.param_operand = true, .constant_class = 1}));
  CHECK(raw.graph.attr[4] == (attr::kScalarOperand | attr::kConstantFirst));
}

TEST_CASE("axes are told from one another by rank") {
  const auto bits = [](const std::string& shape, std::initializer_list<std::uint64_t> axes) {
    return build(model(shape + kOutput + node("ReduceMean", {"x"}, {"y"}, ints("axes", axes))))
        .graph.attr.at(1);
  };
  const std::string tokens = value(11, "x", {1, 16, 8});
  const auto last = ~std::uint64_t{0};  // -1
  CHECK(bits(kInput, {2, 3}) == attr::kSpaceAxes);
  CHECK(bits(kInput, {last, last - 1}) == attr::kSpaceAxes);
  CHECK(bits(kInput, {1, 2}) == attr::kSpaceAxes);
  CHECK(bits(tokens, {1}) == attr::kSpaceAxes);
  CHECK(bits(tokens, {2}) == attr::kLastAxis);
  CHECK(bits(tokens, {last}) == attr::kLastAxis);
  CHECK(bits(kInput, {1}) == 0);
  // From opset 18 the axes are an input.
  const RawGraph raw = build(
      model(kInput + kOutput + indices("axes", {2, 3}) + node("ReduceMean", {"x", "axes"}, {"y"})));
  CHECK(raw.graph.attr[1] == attr::kSpaceAxes);
}

TEST_CASE("ranks are inferred where the file declares none") {
  // Transpose, MatMul with a weight and Unsqueeze keep or change the rank; softmax(axis=4) is last.
  const RawGraph raw =
      build(model(kInput + kOutput + weight("w", {8, 5}) + indices("front", {0}) +
                  node("Transpose", {"x"}, {"t"}, ints("perm", {0, 2, 3, 1})) +
                  node("MatMul", {"t", "w"}, {"m"}) + node("Unsqueeze", {"m", "front"}, {"u"}) +
                  node("Softmax", {"u"}, {"y"}, message(5, message(1, "axis") + number(3, 4)))));
  CHECK(names(raw) == Ops{"input", "permute", "linear", "squeeze", "softmax"});
  CHECK(raw.graph.attr[1] == attr::kLayoutPermute);
  CHECK(raw.graph.attr[4] == attr::kLastAxis);
}

TEST_CASE("token ids are no data, but a network of nothing else keeps them") {
  const std::string ids = value(11, "x", {1, 16}, 7);
  const RawGraph embedded = build(
      model(ids + kOutput + weight("table", {100, 8}) + node("Gather", {"table", "x"}, {"e"}) +
            node("Cast", {"x"}, {"f"}, message(5, message(1, "to") + number(3, 1))) +
            node("Add", {"e", "f"}, {"y"})));
  CHECK(names(embedded) == Ops{"embedding", "add"});
  CHECK(embedded.graph.in_src.size() == 1);
  const RawGraph labels = build(model(kInput + kOutput + node("ArgMax", {"x"}, {"y"})));
  CHECK(names(labels) == Ops{"input", "argmax"});
  const RawGraph pixels =
      build(model(value(11, "x", {1, 3, 8, 8}, 7) + kOutput + weight("w", {4, 3, 1, 1}) +
                  node("Cast", {"x"}, {"f"}, message(5, message(1, "to") + number(3, 1))) +
                  node("Conv", {"f", "w"}, {"y"})));
  CHECK(names(pixels) == Ops{"input", "cast", "conv"});
}

TEST_CASE("functions are inlined, attribute references resolved at the call") {
  const std::string reference = message(5, message(1, "axis") + message(21, "dim"));
  const std::string function = message(
      25, message(1, "soft") + message(10, "mine") + message(4, "a") + message(5, "b") +
              node("Relu", {"a"}, {"t"}, {}, 7) + node("Softmax", {"t"}, {"b"}, reference, 7));
  const auto calls = [&](std::string_view type) {
    return node(type, {"x"}, {"m"},
                message(7, "mine") + message(5, message(1, "dim") + number(3, 3))) +
           node(type, {"m"}, {"y"},
                message(7, "mine") + message(5, message(1, "dim") + number(3, 1)));
  };
  const RawGraph raw = build(model(kInput + kOutput + calls("soft"), function));
  CHECK(names(raw) == Ops{"input", "relu", "softmax", "relu", "softmax"});
  CHECK(raw.graph.attr[2] == attr::kLastAxis);
  CHECK(raw.graph.attr[4] == 0);
}

TEST_CASE("control flow: both branches, bodies once") {
  const std::string yes = node("Relu", {"x"}, {"r"}) + value(12, "r", {});
  const std::string no = node("Sigmoid", {"x"}, {"r"}) + value(12, "r", {});
  const RawGraph branches = build(
      model(kInput + kOutput + value(11, "c", {}, 9) +
            node("If", {"c"}, {"y"}, subgraph("then_branch", yes) + subgraph("else_branch", no))));
  CHECK(names(branches) == Ops{"input", "relu", "sigmoid", "where"});

  const std::string body = value(11, "i", {}, 7) + value(11, "c", {}, 9) + value(11, "h", {}) +
                           node("Tanh", {"h"}, {"g"}) + node("Identity", {"c"}, {"d"}) +
                           value(12, "d", {}) + value(12, "g", {});
  const RawGraph loop = build(model(kInput + kOutput + indices("n", {5}) +
                                    node("Loop", {"n", "", "x"}, {"y"}, subgraph("body", body))));
  CHECK(names(loop) == Ops{"input", "tanh"});
}

TEST_CASE("graphs that cannot be") {
  const std::string graph = kInput + kOutput;
  CHECK(message_of(model(graph + node("Relu", {"z"}, {"y"}))).find("nothing produces") !=
        std::string::npos);
  CHECK(message_of(model(graph + node("Relu", {"x"}, {"z"}))).find("nothing produces") !=
        std::string::npos);
  CHECK(message_of(model(graph + node("Relu", {"x"}, {"y"}) + node("Tanh", {"x"}, {"y"})))
            .find("produced twice") != std::string::npos);
  CHECK(message_of(model(graph + node("Add", {"x", "b"}, {"a"}) + node("Relu", {"a"}, {"b"}) +
                         node("Relu", {"b"}, {"y"})))
            .find("cycle") != std::string::npos);
  CHECK(message_of(model(graph + weight("w", {3}) + node("Relu", {"w"}, {"y"})))
            .find("depends on an input") != std::string::npos);
  const std::string itself =
      message(25, message(1, "f") + message(10, "mine") + message(4, "a") + message(5, "b") +
                      node("f", {"a"}, {"b"}, message(7, "mine"), 7));
  CHECK(message_of(model(graph + node("f", {"x"}, {"y"}, message(7, "mine")), itself))
            .find("calls itself") != std::string::npos);
}

TEST_CASE("a few functions that double at every level are refused, not expanded") {
  std::string functions;
  std::string last = "Relu";
  for (int level = 0; level < 40; ++level) {
    const std::string name = "f" + std::to_string(level);
    const std::string domain = level == 0 ? std::string() : message(7, "mine");
    functions +=
        message(25, message(1, name) + message(10, "mine") + message(4, "a") + message(5, "c") +
                        node(last, {"a"}, {"b"}, domain, 7) + node(last, {"b"}, {"c"}, domain, 7));
    last = name;
  }
  CHECK(
      message_of(model(kInput + kOutput + node(last, {"x"}, {"y"}, message(7, "mine")), functions))
          .find("expand to more") != std::string::npos);
}

TEST_CASE("nodes may stand in any order, and chains may be long") {
  const RawGraph swapped =
      build(model(kInput + kOutput + node("Tanh", {"a"}, {"y"}) + node("Relu", {"x"}, {"a"})));
  CHECK(names(swapped) == Ops{"input", "relu", "tanh"});
  std::string chain;
  constexpr int kLength = 200'000;
  for (int i = kLength; i-- > 0;) {
    const std::string from = i == 0 ? "x" : "v" + std::to_string(i);
    const std::string to = i == kLength - 1 ? "y" : "v" + std::to_string(i + 1);
    chain += node("Relu", {from}, {to});
  }
  CHECK(build(model(kInput + kOutput + chain)).graph.op.size() == kLength + 1);
}

TEST_CASE("operators that the table lacks are counted and kept") {
  const RawGraph raw = build(model(kInput + kOutput + node("Frobnicate", {"x"}, {"a"}) +
                                   node("ReduceMost", {"a"}, {"b"}, message(7, "mine")) +
                                   node("Frobnicate", {"b"}, {"y"})));
  CHECK(names(raw) == Ops{"input", "unknown/other", "unknown/reduction", "unknown/other"});
  CHECK(raw.unknown == std::vector<std::pair<std::string, std::int64_t>>{{"Frobnicate", 2},
                                                                         {"mine.ReduceMost", 1}});
}

TEST_CASE("onnxruntime's fused operators come apart") {
  const std::string microsoft = message(7, "com.microsoft");
  const RawGraph raw =
      build(model(kInput + kOutput + weight("g", {8}) + weight("w", {4, 8, 3, 3}) +
                  node("SkipLayerNormalization", {"x", "x", "g"}, {"n"}, microsoft) +
                  node("FusedConv", {"n", "w"}, {"y"},
                       microsoft + message(5, message(1, "activation") + message(4, "Relu")))));
  CHECK(names(raw) == Ops{"input", "add", "layer_norm", "conv", "relu"});
}

}  // namespace
}  // namespace narfast::onnx
