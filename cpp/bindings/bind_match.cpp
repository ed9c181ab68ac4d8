// Occurrences of blocks in graphs, and the index of n-grams, as functions and classes of arrays.
#include <pybind11/stl.h>

#include "arrays.h"
#include "bindings.h"
#include "narfast/match/level.h"
#include "narfast/match/ngrams.h"
#include "narfast/match/occurrences.h"

namespace narfast::bindings {

using namespace py::literals;

namespace {

/// A graph whose arrays Python owns, with the offsets that make it a batch of one.
struct OneGraph {
  GraphView view;
  std::array<Offset, 2> node_ptr;

  OneGraph(const py::array& op, const py::array& attr, const py::array& in_ptr,
           const py::array& in_src)
      : view{share<OpId>(op, "op"), share<Attr>(attr, "attr"), share<Offset>(in_ptr, "in_ptr"),
             share<NodeId>(in_src, "in_src")},
        node_ptr{0, static_cast<Offset>(view.op.size())} {}

  void check() const { validate({view.op, view.attr, node_ptr, view.in_ptr, view.in_src}); }
};

template <typename T>
std::vector<T> copy(const py::array& array, const char* name) {
  const auto values = share<T>(array, name);
  return {values.begin(), values.end()};
}

/// N-grams as uint64[n, 3].
py::array_t<Label> give(std::vector<Ngram> ngrams) {
  const auto size = static_cast<py::ssize_t>(ngrams.size());
  return own<Label>(std::move(ngrams), {size, 3});
}

std::vector<Ngram> take_ngrams(const py::array& array) {
  const auto values = share<Label>(array, "ngrams", 2);
  if (array.shape(1) != 3) throw py::type_error("ngrams must have three columns");
  std::vector<Ngram> ngrams(values.size() / 3);
  for (std::size_t i = 0; i < values.size(); ++i) ngrams[i / 3][i % 3] = values[i];
  return ngrams;
}

void bind_ngrams(py::module_& m) {
  m.attr("NO_LABEL") = kNoLabel;
  m.def(
      "count_ngrams",
      [](const py::array& op, const py::array& attr, const py::array& in_ptr,
         const py::array& in_src, const std::string& level) {
        const OneGraph graph(op, attr, in_ptr, in_src);
        const MatchLevel at = match_level(level);
        NgramCounts counts;
        {
          const py::gil_scoped_release unlocked;
          graph.check();
          counts = count_ngrams(graph.view, at);
        }
        return py::make_tuple(give(std::move(counts.ngram)),
                              bindings::give(std::move(counts.count)), counts.partial);
      },
      "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "level"_a,
      "(uint64[n, 3] labels, uint32[n] counts, whether only single operators are counted) of one "
      "graph. Shares its arguments.");
  py::class_<NgramIndex>(m, "NgramIndex", "Which graphs have which n-grams.")
      .def(py::init([](std::int32_t rows, const py::array& label, const py::array& ngram,
                       const py::array& ptr, const py::array& row, const py::array& count,
                       const py::array& partial) {
             NgramIndex index{rows,
                              copy<Label>(label, "label"),
                              copy<std::int32_t>(ngram, "ngram"),
                              copy<Offset>(ptr, "ptr"),
                              copy<std::int32_t>(row, "row"),
                              copy<std::uint32_t>(count, "count"),
                              copy<std::int32_t>(partial, "partial")};
             const py::gil_scoped_release unlocked;
             validate(index);
             return index;
           }),
           "rows"_a, "label"_a, "ngram"_a, "ptr"_a, "row"_a, "count"_a, "partial"_a,
           "An index from its arrays, which are checked and copied. Raises CorruptFileError.")
      .def_static(
          "build",
          [](const py::array& op, const py::array& attr, const py::array& node_ptr,
             const py::array& in_ptr, const py::array& in_src, int num_threads) {
            const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
            const py::gil_scoped_release unlocked;
            validate(batch, num_threads);
            return build_ngram_index(batch, num_threads);
          },
          "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "num_threads"_a,
          "The index of a batch. Shares its arguments.")
      .def_readonly("rows", &NgramIndex::rows)
      .def(
          "arrays",
          [](const NgramIndex& index) {
            return py::make_tuple(
                bindings::give(std::vector(index.label)), bindings::give(std::vector(index.ngram)),
                bindings::give(std::vector(index.ptr)), bindings::give(std::vector(index.row)),
                bindings::give(std::vector(index.count)),
                bindings::give(std::vector(index.partial)));
          },
          "(label, ngram, ptr, row, count, partial), copied.")
      .def(
          "candidate_rows",
          [](const NgramIndex& index, const py::array& op, const py::array& attr,
             const py::array& in_ptr, const py::array& in_src, const std::string& level) {
            const OneGraph pattern(op, attr, in_ptr, in_src);
            const MatchLevel at = match_level(level);
            std::vector<std::int32_t> rows;
            {
              const py::gil_scoped_release unlocked;
              pattern.check();
              rows = candidate_rows(index, pattern.view, at);
            }
            return bindings::give(std::move(rows));
          },
          "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "level"_a,
          "int32[n]: the rows that have all n-grams of a graph. Shares its arguments.")
      .def(
          "find",
          [](const NgramIndex& index, const py::array& ngrams, const std::string& level) {
            const std::vector<Ngram> wanted = take_ngrams(ngrams);
            const MatchLevel at = match_level(level);
            NgramRows found;
            {
              const py::gil_scoped_release unlocked;
              found = find_ngrams(index, wanted, at);
            }
            return py::make_tuple(bindings::give(std::move(found.ptr)),
                                  bindings::give(std::move(found.row)),
                                  bindings::give(std::move(found.count)));
          },
          "ngrams"_a, py::kw_only(), "level"_a,
          "(ptr, row, count): the rows of each n-gram of uint64[n, 3]. Shares its argument.");
}

}  // namespace

void bind_match(py::module_& m) {
  m.attr("MAX_PATTERN_NODES") = kMaxPatternNodes;
  m.def(
      "compared_attributes",
      [](const std::string& level) { return compared_attributes(match_level(level)); }, "level"_a,
      "The mask of the packed attributes that count at a level.");
  m.def(
      "between",
      [](const py::array& op, const py::array& attr, const py::array& in_ptr,
         const py::array& in_src, const py::array& marked) {
        const OneGraph graph(op, attr, in_ptr, in_src);
        const auto marks = share<std::uint8_t>(marked, "marked");
        std::vector<std::uint8_t> result;
        {
          const py::gil_scoped_release unlocked;
          graph.check();
          result = between(graph.view, marks);
        }
        return bindings::give(std::move(result));
      },
      "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a, "marked"_a,
      "uint8[nodes]: 1 for nodes that are marked or lie on a path between marked ones. Shares its "
      "arguments.");
  py::class_<SearchableGraphs>(m, "SearchableGraphs", "A batch prepared for search by block.")
      .def(py::init([](const py::array& op, const py::array& attr, const py::array& node_ptr,
                       const py::array& in_ptr, const py::array& in_src, int num_threads) {
             const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
             const py::gil_scoped_release unlocked;
             validate(batch, num_threads);
             return SearchableGraphs(batch, num_threads);
           }),
           "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "num_threads"_a,
           py::keep_alive<1, 2>(), py::keep_alive<1, 3>(), py::keep_alive<1, 4>(),
           py::keep_alive<1, 5>(), py::keep_alive<1, 6>(), "Shares its arguments.")
      .def(
          "find",
          [](const SearchableGraphs& graphs, const py::array& rows, const py::array& op,
             const py::array& attr, const py::array& in_ptr, const py::array& in_src,
             const std::string& level, int num_threads) {
            const auto chosen = share<std::int32_t>(rows, "rows");
            const OneGraph pattern(op, attr, in_ptr, in_src);
            const MatchLevel at = match_level(level);
            Occurrences found;
            {
              const py::gil_scoped_release unlocked;
              pattern.check();
              found = find_occurrences(graphs, chosen, pattern.view, at, num_threads);
            }
            return py::make_tuple(bindings::give(std::move(found.ptr)),
                                  bindings::give(std::move(found.node)),
                                  bindings::give(std::move(found.complete)));
          },
          "rows"_a, "op"_a, "attr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "level"_a,
          "num_threads"_a,
          "(ptr, node, complete): occurrences of a graph, the pattern, in the graphs `rows`; see "
          "cpp/narfast/match/occurrences.h. Shares its arguments.");
  bind_ngrams(m);
}

}  // namespace narfast::bindings
