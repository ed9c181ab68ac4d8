// Generators of search spaces as functions of arrays.
#include "arrays.h"
#include "bindings.h"
#include "narfast/search_spaces/darts.h"
#include "narfast/search_spaces/nasbench101.h"
#include "narfast/search_spaces/nasbench201.h"

namespace narfast::bindings {

using namespace py::literals;

namespace {

using NetworkArrays = py::typing::Tuple<BatchArrays, HyperparameterArrays,
                                        py::array_t<std::int64_t>, py::array_t<std::int64_t>>;

NetworkArrays hand_over(NetworkBatch batch) {
  return py::make_tuple(give(std::move(batch.graphs)), give(std::move(batch.hyperparameters)),
                        give(std::move(batch.params)), give(std::move(batch.flops)));
}

template <typename Names>
py::tuple names(const Names& from) {
  py::tuple result(from.size());
  for (std::size_t i = 0; i < from.size(); ++i) result[i] = py::str(from[i]);
  return result;
}

}  // namespace

void bind_search_spaces(py::module_& m) {
  m.attr("DARTS_OPERATORS") = names(darts::kOperatorNames);
  m.attr("NASBENCH101_OPERATORS") = names(nasbench101::kOperatorNames);
  m.attr("NASBENCH201_OPERATORS") = names(nasbench201::kOperatorNames);
  m.def(
      "darts_networks",
      [](const py::array& operators, const py::array& sources, const py::array& edge_ptr,
         const py::array& concat, const py::array& concat_ptr, bool imagenet, int num_threads) {
        const darts::GenotypeBatchView genotypes{
            share<std::int32_t>(operators, "operators"), share<std::int32_t>(sources, "sources"),
            share<Offset>(edge_ptr, "edge_ptr"), share<std::int32_t>(concat, "concat"),
            share<Offset>(concat_ptr, "concat_ptr")};
        const auto variant = imagenet ? darts::Variant::kImageNet : darts::Variant::kCifar;
        NetworkBatch batch;
        {
          const py::gil_scoped_release unlocked;
          batch = darts::build_networks(genotypes, variant, num_threads);
        }
        return hand_over(std::move(batch));
      },
      "operators"_a, "sources"_a, "edge_ptr"_a, "concat"_a, "concat_ptr"_a, py::kw_only(),
      "imagenet"_a, "num_threads"_a,
      "(batch arrays, hyperparameters, params, flops); see narfast.search_spaces.darts.networks. "
      "Shares its "
      "arguments.");
  m.def(
      "nasbench101_cells",
      [] {
        std::vector<nasbench101::Cell> cells;
        {
          const py::gil_scoped_release unlocked;
          cells = nasbench101::all_cells();
        }
        return give(std::move(cells));
      },
      "uint64[423624]: one cell of every class; see narfast.search_spaces.nasbench101.cells.");
  m.def(
      "nasbench101_networks",
      [](const py::array& cells, bool whole, int num_threads) {
        const auto numbers = share<nasbench101::Cell>(cells, "cells");
        NetworkBatch batch;
        {
          const py::gil_scoped_release unlocked;
          batch = nasbench101::build_networks(numbers, whole, num_threads);
        }
        return hand_over(std::move(batch));
      },
      "cells"_a, py::kw_only(), "whole"_a, "num_threads"_a,
      "(batch arrays, hyperparameters, params, flops); see "
      "narfast.search_spaces.nasbench101.networks. Shares its "
      "arguments.");
  m.def(
      "nasbench201_networks",
      [](const py::array& cells, int num_threads) {
        const auto numbers = share<std::int32_t>(cells, "cells");
        NetworkBatch batch;
        {
          const py::gil_scoped_release unlocked;
          batch = nasbench201::build_networks(numbers, num_threads);
        }
        return hand_over(std::move(batch));
      },
      "cells"_a, py::kw_only(), "num_threads"_a,
      "(batch arrays, hyperparameters, params, flops); see "
      "narfast.search_spaces.nasbench201.networks. Shares its "
      "arguments.");
}

}  // namespace narfast::bindings
