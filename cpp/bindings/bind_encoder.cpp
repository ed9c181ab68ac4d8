// The encoder and structural features as classes over arrays.
#include <pybind11/stl.h>

#include "arrays.h"
#include "bindings.h"
#include "narfast/base/parallel.h"
#include "narfast/encoder/encoder.h"
#include "narfast/graph/operators.h"

namespace narfast::bindings {

using namespace py::literals;

namespace {

template <typename Kind>
Kind choice(const py::handle& value, std::initializer_list<std::pair<const char*, Kind>> kinds) {
  const auto name = value.cast<std::string>();
  for (const auto& [known, kind] : kinds)
    if (name == known) return kind;
  throw std::invalid_argument("unknown setting '" + name + "'");
}

std::vector<ReadoutKind> readouts(const py::handle& values) {
  std::vector<ReadoutKind> kinds;
  for (const py::handle value : values)
    kinds.push_back(choice<ReadoutKind>(value, {{"mean", ReadoutKind::kMean},
                                                {"sum_log", ReadoutKind::kSumLog},
                                                {"max", ReadoutKind::kMax}}));
  return kinds;
}

EncoderSettings read_settings(const py::dict& from) {
  const auto size = [&](const char* name) { return from[name].cast<std::size_t>(); };
  EncoderSettings s;
  const auto miner = from["miner"].cast<std::string>();
  // "whole" makes every network one motif; the motif encoder then sees all its operators.
  s.mining.method = miner == "whole" ? MiningMethod::kFixedCount : mining_method(miner);
  if (miner == "whole") s.mining.count = 1;
  s.features = choice<FeatureKind>(from["features"], {{"one_hot", FeatureKind::kOneHot},
                                                      {"embedding", FeatureKind::kEmbedding}});
  s.operators = from["operators"].cast<std::vector<std::string>>();
  for (const py::handle field : from["attribute_fields"]) {
    const auto [name, shift, bits] = field.cast<std::tuple<std::string, int, int>>();
    s.attribute_fields.push_back({shift, bits});
  }
  s.layer = choice<LayerKind>(from["layer"], {{"gcn", LayerKind::kGcn},
                                              {"gat", LayerKind::kGat},
                                              {"bidirectional", LayerKind::kBidirectional}});
  s.feature_dim = size("feature_dim");
  s.motif_dim = size("motif_dim");
  s.motif_layers = from["motif_layers"].cast<int>();
  s.motif_readouts = readouts(from["motif_readouts"]);
  s.macro_dim = size("macro_dim");
  s.macro_layers = from["macro_layers"].cast<int>();
  s.macro_readouts = readouts(from["macro_readouts"]);
  s.node_scalars = from["node_scalars"].cast<bool>();
  s.deep_dim = size("deep_dim");
  s.merge_dim = size("merge_dim");
  s.structural_dim = size("wide_dim");
  s.structural_axes = size("wide_axes");
  s.structural_share = from["wide_share"].cast<float>();
  return s;
}

Weights share_weights(const py::dict& tensors) {
  std::map<std::string, Tensor> shared;
  for (const auto& [name, value] : tensors) {
    const auto key = name.cast<std::string>();
    const auto array = value.cast<py::array>();
    Tensor tensor;
    tensor.values = share<float>(array, key.c_str(), array.ndim());
    for (py::ssize_t i = 0; i < array.ndim(); ++i)
      tensor.shape.push_back(static_cast<std::size_t>(array.shape(i)));
    shared.emplace(key, std::move(tensor));
  }
  return Weights(std::move(shared));
}

std::vector<std::uint64_t> words(const py::array& array, const char* name) {
  const auto shared = share<std::uint64_t>(array, name);
  return {shared.begin(), shared.end()};
}

void check_operators(std::span<const std::uint64_t> operator_hash) {
  if (operator_hash.size() != operator_table().size())
    throw std::invalid_argument("operator_hash needs one entry for each operator of the table");
}

std::span<const Hash128> share_ids(const py::array& array) {
  const auto values = share<std::uint64_t>(array, "motif_id", 2);
  if (array.shape(1) != 2) throw py::type_error("motif_id must have two columns");
  return {reinterpret_cast<const Hash128*>(values.data()), values.size() / 2};
}

/// The features of every graph of a batch, side by side.
py::tuple features_of(const LabelIdf& idf, const GraphBatchView& batch, std::size_t dim,
                      int num_threads) {
  std::vector<float> vectors(batch.size() * dim);
  std::vector<std::vector<LabelIdf::Weighted>> listed(batch.size());
  std::vector<Offset> ptr{0};
  std::vector<std::int64_t> row;
  std::vector<float> weight;
  {
    const py::gil_scoped_release unlocked;
    validate_loose(batch, num_threads);
    const Kernels& k = kernels();
    parallel_for(batch.size(), num_threads, [&](std::size_t g) {
      std::vector<std::uint64_t> labels;
      structural_labels(batch[g], idf.kinds(), idf.operator_hash(), labels);
      idf.features(k, labels, batch[g].op.size(), std::span(vectors).subspan(g * dim, dim),
                   listed[g]);
    });
    for (const auto& part : listed) {
      for (const auto& item : part) {
        row.push_back(item.row);
        weight.push_back(item.weight);
      }
      ptr.push_back(static_cast<Offset>(row.size()));
    }
  }
  return py::make_tuple(own<float>(std::move(vectors), {static_cast<py::ssize_t>(batch.size()),
                                                        static_cast<py::ssize_t>(dim)}),
                        give(std::move(ptr)), give(std::move(row)), give(std::move(weight)));
}

}  // namespace

void bind_encoder(py::module_& m) {
  m.def(
      "instruction_sets",
      [] {
        py::typing::List<py::str> names;
        for (const Kernels* set : available_kernels()) names.append(py::str(set->name));
        return names;
      },
      "Names of the instruction sets that this processor can run; NARFAST_ISA may name one.");
  m.def(
      "instruction_set", [] { return std::string(kernels().name); }, "The instruction set in use.");
  m.def(
      "structural_labels",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, const py::array& operator_hash, int hops,
         int ngrams) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const auto hashes = share<std::uint64_t>(operator_hash, "operator_hash");
        check_operators(hashes);
        const LabelKinds kinds{hops, ngrams};
        std::vector<std::uint64_t> all(kinds.rows() * batch.op.size());
        {
          const py::gil_scoped_release unlocked;
          validate_loose(batch);
          std::vector<std::uint64_t> labels;
          for (std::size_t g = 0; g < batch.size(); ++g) {
            structural_labels(batch[g], kinds, hashes, labels);
            const std::size_t nodes = batch[g].op.size();
            for (std::size_t row = 0; row < kinds.rows(); ++row)
              std::copy_n(labels.begin() + static_cast<std::ptrdiff_t>(row * nodes), nodes,
                          all.begin() + static_cast<std::ptrdiff_t>(row * batch.op.size()) +
                              batch.node_ptr[g]);
          }
        }
        const auto nodes = static_cast<py::ssize_t>(batch.op.size());
        return own<std::uint64_t>(std::move(all), {static_cast<py::ssize_t>(kinds.rows()), nodes});
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "operator_hash"_a,
      "hops"_a, "ngrams"_a,
      "uint64 (rows, nodes); see cpp/narfast/encoder/structural_features.h. Shares its arguments.");

  py::class_<LabelIdf>(m, "LabelIdf",
                       "Labels with their inverse document frequencies. Copies its arrays.")
      .def(py::init([](const py::array& operator_hash, const py::array& label, const py::array& idf,
                       int hops, int ngrams) {
             const auto values = share<float>(idf, "idf");
             check_operators(share<std::uint64_t>(operator_hash, "operator_hash"));
             return LabelIdf({hops, ngrams}, words(operator_hash, "operator_hash"),
                             words(label, "label"), {values.begin(), values.end()});
           }),
           "operator_hash"_a, "label"_a, "idf"_a, py::kw_only(), "hops"_a, "ngrams"_a)
      .def(
          "features",
          [](const LabelIdf& self, const py::array& op, const py::array& attr,
             const py::array& node_ptr, const py::array& in_ptr, const py::array& in_src,
             std::size_t dim, int num_threads) {
            return features_of(self, share_batch(op, attr, node_ptr, in_ptr, in_src), dim,
                               num_threads);
          },
          "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "dim"_a,
          "num_threads"_a,
          "Of every graph: projections float32 (graphs, dim), and its listed labels as ptr int64, "
          "row int64, weight float32. Shares its arguments.");

  py::class_<Encoder>(m, "Encoder", "Inference; narfast.ArchitectureEncoder wraps it.")
      .def(py::init([](const py::dict& settings, const py::dict& tensors,
                       std::optional<LabelIdf> features) {
             return Encoder(read_settings(settings), share_weights(tensors), std::move(features));
           }),
           "settings"_a, "tensors"_a, "features"_a)
      .def(
          "encode",
          [](const Encoder& self, const py::array& op, const py::array& attr,
             const py::array& node_ptr, const py::array& in_ptr, const py::array& in_src,
             bool normalize, int num_threads) {
            const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
            std::vector<float> vectors(batch.size() * self.dim());
            {
              const py::gil_scoped_release unlocked;
              validate_loose(batch, num_threads);
              self.encode(batch, vectors, normalize, num_threads);
            }
            return own<float>(std::move(vectors), {static_cast<py::ssize_t>(batch.size()),
                                                   static_cast<py::ssize_t>(self.dim())});
          },
          "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "normalize"_a,
          "num_threads"_a, "float32 (graphs, dim). Shares its arguments.")
      .def_property_readonly(
          "num_motifs", [](const Encoder& self) { return self.motif_cache().size(); },
          "Number of distinct motifs in the cache.")
      .def(
          "insert_motifs",
          [](const Encoder& self, const py::array& motif_id, const py::array& vectors) {
            const auto ids = share_ids(motif_id);
            const auto values = share<float>(vectors, "vectors", 2);
            if (values.size() != ids.size() * self.motif_cache().dim())
              throw py::type_error("vectors must have a row of the motif's width for each id");
            self.motif_cache().insert(ids, values);
          },
          "motif_id"_a, "vectors"_a, "Keeps vectors from elsewhere. Copies.")
      .def(
          "take_new_motifs",
          [](const Encoder& self) {
            auto [ids, vectors] = self.motif_cache().take_new();
            const auto dim = static_cast<py::ssize_t>(self.motif_cache().dim());
            const auto count = static_cast<py::ssize_t>(ids.size());
            return py::make_tuple(give(std::move(ids)),
                                  own<float>(std::move(vectors), {count, dim}));
          },
          "(motif_id uint64 (n, 2), vectors float32 (n, motif_dim)) computed since the last call; "
          "the first call starts the record.")
      .def(
          "clear_motifs", [](const Encoder& self) { self.motif_cache().clear(); },
          "Forgets every motif.");
}

}  // namespace narfast::bindings
