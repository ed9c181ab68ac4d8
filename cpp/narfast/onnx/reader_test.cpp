// The ONNX reader on hand-assembled bytes, well formed and hostile.
#include "narfast/onnx/reader.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "narfast/testing/onnx_bytes.h"

namespace narfast::onnx {
namespace {

using namespace bytes;

std::span<const std::uint8_t> view(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A convolution and a relu, with one weight of `raw` bytes.
std::string small_model(std::string_view weight) {
  return model(node("Conv", {"x", "w"}, {"y"}, ints("strides", {2, 2})) +
               node("Relu", {"y"}, {"z"}) + message(5, weight) + value(11, "x", {1, 3, 8, 8}) +
               value(12, "z", {1, 4, 4, 4}));
}

std::string message_of(const std::string& file) {
  try {
    (void)parse_model(view(file));
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("the structure of a hand-written model") {
  const std::string file =
      small_model(tensor("w", {4, 3, 3, 3}, 1, std::string(std::size_t{108} * 4, '\0')));
  const Model parsed = parse_model(view(file));
  CHECK(parsed.ir_version == 8);
  CHECK(parsed.opset == 17);
  REQUIRE(parsed.graph.nodes.size() == 2);
  CHECK(parsed.graph.nodes[0].type == "Conv");
  CHECK(parsed.graph.nodes[0].inputs == std::vector<std::string_view>{"x", "w"});
  CHECK(parsed.graph.nodes[0].find("strides")->integers == std::vector<std::int64_t>{2, 2});
  CHECK(parsed.graph.nodes[0].find("pads") == nullptr);
  REQUIRE(parsed.graph.initializers.size() == 1);
  CHECK(parsed.graph.initializers[0].elements == 108);
  CHECK_FALSE(parsed.graph.initializers[0].decoded);
  CHECK(parsed.graph.inputs[0].dims == std::vector<std::int64_t>{1, 3, 8, 8});
}

TEST_CASE("weight bytes are never touched: reading them would be a segmentation fault") {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::string weights(16 * page, 'w');
  const std::string file = small_model(tensor("w", {16 * page / 4}, 1, weights));
  const std::size_t size = (file.size() / page + 1) * page;
  void* map = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(map != MAP_FAILED);
  auto* data = static_cast<std::uint8_t*>(map);
  std::memcpy(data, file.data(), file.size());
  const std::size_t first = file.find("wwwwwwww");
  const std::size_t closed = (first / page + 1) * page;  // whole pages inside the weights
  REQUIRE(::mprotect(data + closed, 14 * page, PROT_NONE) == 0);
  const Model parsed = parse_model({data, file.size()});
  CHECK(parsed.graph.nodes.size() == 2);
  CHECK(parsed.graph.initializers[0].elements == static_cast<std::int64_t>(4 * page));
  ::munmap(map, size);
}

TEST_CASE("small tensors are decoded in every encoding") {
  const auto decode = [](const std::string& payload) {
    const std::string file = model(message(5, payload));
    Tensor tensor = parse_model(view(file)).graph.initializers.at(0);
    tensor.name = {};  // a view into `file`
    return tensor;
  };
  const Tensor raw64 =
      decode(tensor("a", {2}, 7, std::string("\x05\0\0\0\0\0\0\0", 8) + std::string(8, '\xFF')));
  CHECK(raw64.integers == std::vector<std::int64_t>{5, -1});
  const Tensor packed = decode(tensor("a", {2}, 7, {}) + message(7, varint(3) + varint(300)));
  CHECK(packed.integers == std::vector<std::int64_t>{3, 300});
  const Tensor loose = decode(tensor("a", {2}, 6, {}) + number(5, 1) + number(5, 2));
  CHECK(loose.integers == std::vector<std::int64_t>{1, 2});
  const Tensor half = decode(tensor("a", {}, 10, std::string("\0\x3E", 2)));
  CHECK(half.reals == std::vector<double>{1.5});
  const Tensor brain = decode(tensor("a", {1}, 16, std::string("\x40\xC0", 2)));
  CHECK(brain.reals == std::vector<double>{-3.0});
  const Tensor single =
      decode(tensor("a", {1}, 1, {}) + message(4, std::string("\0\0\x80\x3F", 4)));
  CHECK(single.reals == std::vector<double>{1.0});
  // Data that is elsewhere or has been stripped is no error, it is just not decoded.
  CHECK_FALSE(decode(tensor("a", {2}, 7, {})).decoded);
  const Tensor external = decode(tensor("a", {2}, 7, {}) + number(14, 1));
  CHECK(external.external);
}

TEST_CASE("damaged bytes are refused with the place") {
  const std::string good = small_model(tensor("w", {1}, 1, std::string(4, '\0')));
  for (std::size_t length = 1; length < good.size(); ++length) {
    CAPTURE(length);
    const std::string cut = good.substr(0, length);
    // Cut between two top-level fields, what is left is a message, but no graph.
    CHECK_THROWS_AS(parse_model(view(cut)), CorruptFile);
  }
  const auto in_graph = [](const std::string& graph) { return message_of(model(graph)); };
  CHECK(in_graph(std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11)).find("claims") !=
        std::string::npos);
  CHECK(in_graph(std::string("\x0A") + std::string(11, '\xFF')).find("64 bits") !=
        std::string::npos);
  CHECK(in_graph(std::string("\x0B\x00", 2)).find("wire type") != std::string::npos);
  CHECK(in_graph(std::string("\x00\x00", 2)).find("field number") != std::string::npos);
  CHECK(in_graph(number(1, 7)).find("wire type 0, expected 2") != std::string::npos);
  CHECK(in_graph(node("Re\xFFlu", {}, {})).find("UTF-8") != std::string::npos);
  CHECK(in_graph(message(1, "")).find("op_type") != std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {std::uint64_t{1} << 60}, 1, {}))).find("2^48 elements") !=
        std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {1U << 30, 1U << 30}, 1, {}))).find("2^48") !=
        std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {~std::uint64_t{0}}, 1, {}))).find("negative") !=
        std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {5}, 1, "abc"))).find("3 bytes of data") !=
        std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {5}, 7, {}) + message(7, varint(1)))).find("fewer") !=
        std::string::npos);
  CHECK(in_graph(message(5, tensor("w", {1}, 7, {}) + message(7, varint(1) + varint(1))))
            .find("more elements") != std::string::npos);
}

TEST_CASE("a message says where, down to the byte") {
  const std::string file = model(node("Relu", {"x"}, {"y"}) + node("A\xFF", {}, {}));
  const std::size_t at = file.find("A\xFF") - 2;  // its tag
  CHECK(message_of(file).find("byte " + std::to_string(at)) != std::string::npos);
}

TEST_CASE("other formats are recognised") {
  for (const std::string_view other :
       {std::string_view("PK\x03\x04 and so on"), std::string_view("\x89PNG\r\n\x1a\n 12345678"),
        std::string_view("\x80\x02}q\x00.", 6), std::string_view("just some text, no model"),
        std::string_view("{\"model_type\": \"bert\"}"), std::string_view("GGUF\x03\x00\x00\x00", 8),
        std::string_view("\x1c\x00\x00\x00TFL3......", 14), std::string_view("")}) {
    CAPTURE(other);
    CHECK_THROWS_AS(parse_model(view(std::string(other))), NotOnnx);
  }
  // A protobuf message without a graph.
  CHECK_THROWS_AS(parse_model(view(number(1, 8))), NotOnnx);
}

TEST_CASE("subgraphs nest, within limits") {
  const auto nested = [](int depth) {
    std::string graph = node("Relu", {"x"}, {"y"});
    for (int i = 0; i < depth; ++i)
      graph = node("If", {"c"}, {"y"}, subgraph("then_branch", graph));
    return model(graph);
  };
  CHECK(message_of(nested(32)) == "");
  CHECK(message_of(nested(33)).find("nest more than") != std::string::npos);
  CHECK(message_of(nested(5000)).find("nest more than") != std::string::npos);
}

TEST_CASE("functions, opsets of other domains, and unknown fields") {
  const std::string function = message(25, message(1, "f") + message(10, "mine") + message(4, "a") +
                                               message(5, "b") + node("Relu", {"a"}, {"b"}, {}, 7));
  const std::string file = model(node("f", {"x"}, {"y"}, message(7, "mine")),
                                 message(8, message(1, "mine") + number(2, 1)) + function +
                                     message(1000, "later versions") + number(2000, 5));
  const Model parsed = parse_model(view(file));
  CHECK(parsed.opset == 17);
  REQUIRE(parsed.functions.size() == 1);
  CHECK(parsed.functions[0].nodes[0].type == "Relu");
  CHECK(parsed.graph.nodes[0].domain == "mine");
}

}  // namespace
}  // namespace narfast::onnx
