// Vectors of made-up weights: the same bytes whatever the threads and the cache, damage is named.
// Their values are held to the torch model by tests/encoder/test_encoder.py.
#include "narfast/encoder/encoder.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "narfast/testing/test_graphs.h"

namespace narfast {
namespace {

const std::vector<std::string> kOperators{"input", "conv", "relu", "add"};
constexpr std::size_t kLabels = 5;

/// Tensors of an encoder, and damage that can be done to them.
struct MadeUp {
  struct Values {
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  EncoderSettings settings;
  std::map<std::string, Values> tensors;

  explicit MadeUp(LayerKind layer) {
    settings.mining.method = MiningMethod::kNeighborSequence;
    settings.operators = kOperators;
    settings.attribute_fields = {{0, 2}, {2, 1}};
    settings.layer = layer;
    settings.feature_dim = 6;
    settings.motif_dim = settings.macro_dim = 8;
    settings.motif_layers = settings.macro_layers = 2;
    settings.motif_readouts =
        settings.macro_readouts = {ReadoutKind::kMean, ReadoutKind::kSumLog, ReadoutKind::kMax};
    settings.node_scalars = true;
    settings.deep_dim = 7;
    settings.merge_dim = 9;
    settings.structural_dim = 10;
    settings.structural_axes = 3;
    settings.structural_share = 0.3f;
    const std::size_t dim = 8, read = 3 * dim + 3;
    add("motif.features.operator.weight", {kOperators.size() + 1, 6});
    add("motif.features.attribute.table.weight", {4 + 2, 6});
    layers("motif", 6);
    layers("macro", dim + 2);
    linear("motif.merge", 3 * dim, dim);
    add("macro.merge.0.weight", {read});
    add("macro.merge.0.bias", {read});
    linear("macro.merge.1", read, 9);
    linear("macro.merge.3", 9, 7);
    add("wide_axes", {kLabels, 3});
  }

  void add(const std::string& name, std::vector<std::size_t> shape) {
    std::size_t size = 1;
    for (const std::size_t side : shape) size *= side;
    std::mt19937 random(static_cast<unsigned>(tensors.size()));
    std::vector<float> values(size);
    for (float& x : values) x = static_cast<float>(random()) / 4294967296.0f - 0.5f;
    tensors[name] = {std::move(shape), std::move(values)};
  }

  void linear(const std::string& name, std::size_t in, std::size_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  }

  void layers(const std::string& level, std::size_t in) {
    for (int number = 0; number < 2; ++number, in = 8) {
      const std::string name = level + ".layers." + std::to_string(number);
      if (settings.layer == LayerKind::kBidirectional) {
        linear(name + ".own", in, 8);
        add(name + ".incoming.weight", {8, in});
        add(name + ".outgoing.weight", {8, in});
        add(name + ".norm.weight", {8});
        add(name + ".norm.bias", {8});
      } else if (settings.layer == LayerKind::kGcn) {
        linear(name + ".linear", in, 8);
      } else {
        add(name + ".linear.weight", {8, in});
        add(name + ".source", {4, 2});
        add(name + ".target", {4, 2});
        add(name + ".bias", {8});
      }
    }
  }

  Encoder encoder() const {
    std::map<std::string, Tensor> views;
    for (const auto& [name, tensor] : tensors) views[name] = {tensor.values, tensor.shape};
    std::vector<std::uint64_t> hashes, label;
    for (std::size_t i = 0; i < operator_table().size(); ++i) hashes.push_back(mix64(i));
    for (std::size_t i = 0; i < kLabels; ++i) label.push_back(i << 60);
    label[1] = mix64(hashes["conv"_op] ^ mix64(0));  // one that networks have
    std::sort(label.begin(), label.end());
    const std::vector<float> idf(kLabels, 2.0f);
    return {settings, Weights(std::move(views)), LabelIdf({1, 2}, hashes, label, idf)};
  }
};

/// Networks of blocks, some of them alike, of 3 to about 300 operators.
GraphBatch networks() {
  GraphBatch batch;
  std::mt19937 random(3);
  for (int count = 0; count < 60; ++count) {
    testing::Net net;
    NodeId last = net.input();
    for (auto blocks = random() % 60; blocks > 0; --blocks) {
      const Attr attr = random() % 8;
      const NodeId conv = net.add("conv", {last}, attr);
      const NodeId relu = net.add("relu", {conv});
      last = random() % 3 == 0 ? net.add("add", {relu, last}) : net.chain(relu, {"tanh", "conv"});
    }
    net.chain(last, {"relu", "softmax"});
    const Graph& graph = net.graph();
    const Offset edges = batch.in_ptr.back();
    batch.op.insert(batch.op.end(), graph.op.begin(), graph.op.end());
    batch.attr.insert(batch.attr.end(), graph.attr.begin(), graph.attr.end());
    batch.in_src.insert(batch.in_src.end(), graph.in_src.begin(), graph.in_src.end());
    for (std::size_t i = 1; i < graph.in_ptr.size(); ++i)
      batch.in_ptr.push_back(edges + graph.in_ptr[i]);
    batch.node_ptr.push_back(static_cast<Offset>(batch.op.size()));
  }
  return batch;
}

std::vector<float> encode(const Encoder& encoder, const GraphBatchView& batch, int threads,
                          bool unit = true) {
  std::vector<float> vectors(batch.size() * encoder.dim(), NAN);
  encoder.encode(batch, vectors, unit, threads);
  return vectors;
}

TEST_CASE("threads, caches and company change no bit") {
  const GraphBatch batch = networks();
  for (const LayerKind layer : {LayerKind::kBidirectional, LayerKind::kGcn, LayerKind::kGat}) {
    CAPTURE(static_cast<int>(layer));
    const Encoder encoder = MadeUp(layer).encoder();
    const std::vector<float> expected = encode(encoder, batch.view(), 1);
    for (const float x : expected) REQUIRE(std::isfinite(x));
    CHECK(encoder.motif_cache().size() > 10);
    for (const int threads : {1, 2, 7}) {
      CAPTURE(threads);
      CHECK(encode(encoder, batch.view(), threads) == expected);  // warm
      encoder.motif_cache().clear();
      CHECK(encode(encoder, batch.view(), threads) == expected);  // cold
    }
    encoder.motif_cache().clear();
    std::vector<float> one_by_one;
    for (std::size_t g = 0; g < batch.node_ptr.size() - 1; ++g) {
      const GraphView graph = batch.view()[g];
      const std::vector<Offset> ends{0, graph.num_nodes()};
      const auto vector =
          encode(encoder, {graph.op, graph.attr, ends, graph.in_ptr, graph.in_src}, 1);
      one_by_one.insert(one_by_one.end(), vector.begin(), vector.end());
    }
    CHECK(one_by_one == expected);
  }
}

TEST_CASE("callers in several threads share an encoder") {
  const GraphBatch batch = networks();
  const Encoder encoder = MadeUp(LayerKind::kBidirectional).encoder();
  const std::vector<float> expected = encode(encoder, batch.view(), 1);
  encoder.motif_cache().clear();
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> callers;
  for (std::vector<float>& each : found)
    callers.emplace_back([&] {
      each = encode(encoder, batch.view(), 2);
      (void)encoder.motif_cache().take_new();
    });
  for (std::thread& caller : callers) caller.join();
  for (const std::vector<float>& each : found) CHECK(each == expected);
}

TEST_CASE("vectors have length one, and parts the lengths of their shares") {
  const GraphBatch batch = networks();
  const Encoder encoder = MadeUp(LayerKind::kGcn).encoder();
  REQUIRE(encoder.dim() == 17);
  for (const bool unit : {true, false}) {
    const std::vector<float> vectors = encode(encoder, batch.view(), 1, unit);
    for (std::size_t at = 0; at < vectors.size(); at += 17) {
      double deep = 0, structural = 0;
      for (std::size_t i = 0; i < 17; ++i)
        (i < 7 ? deep : structural) += std::pow(static_cast<double>(vectors[at + i]), 2);
      CHECK(deep == doctest::Approx(0.7).epsilon(1e-5));
      CHECK(structural == doctest::Approx(0.3).epsilon(1e-5));
    }
  }
}

TEST_CASE("nothing to encode is nothing") {
  const Encoder encoder = MadeUp(LayerKind::kGcn).encoder();
  CHECK(encode(encoder, GraphBatch{}.view(), 2).empty());
}

TEST_CASE("a tensor that is missing, too many or misshapen is named") {
  const auto damaged = [](const std::function<void(MadeUp&)>& damage) {
    MadeUp made(LayerKind::kBidirectional);
    damage(made);
    return made.encoder();
  };
  CHECK_THROWS_WITH_AS(damaged([](MadeUp& made) { made.tensors.erase("macro.merge.1.bias"); }),
                       "lacks tensor 'macro.merge.1.bias'", CorruptFile);
  CHECK_THROWS_WITH_AS(damaged([](MadeUp& made) { made.add("motif.layers.2.own.bias", {8}); }),
                       "has the unexpected tensor 'motif.layers.2.own.bias'", CorruptFile);
  const auto transpose = [](MadeUp& made) { made.add("motif.layers.0.own.weight", {6, 8}); };
  CHECK_THROWS_WITH_AS(damaged(transpose),
                       "tensor 'motif.layers.0.own.weight' has shape [6, 8], the configuration "
                       "promises [8, 6]",
                       CorruptFile);
}

}  // namespace
}  // namespace narfast
