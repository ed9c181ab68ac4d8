// Einsum in steps, for readers written in Python.
#include <pybind11/stl.h>

#include "bindings.h"
#include "narfast/graph/einsum.h"

namespace narfast::bindings {

namespace py = pybind11;
using namespace py::literals;

void bind_einsum(py::module_& m) {
  m.def(
      "einsum_steps",
      [](const std::string& equation, const std::vector<std::vector<std::int64_t>>& shapes)
          -> std::optional<std::vector<std::tuple<std::string, int, int, std::vector<int>>>> {
        constexpr const char* kNames[] = {"permute", "matmul", "mul", "sum"};
        const auto steps = einsum_steps(equation, shapes);
        if (!steps) return std::nullopt;
        std::vector<std::tuple<std::string, int, int, std::vector<int>>> result;
        for (const EinsumStep& step : *steps)
          result.emplace_back(kNames[static_cast<std::size_t>(step.kind)], step.left, step.right,
                              step.axes);
        return result;
      },
      "equation"_a, "shapes"_a,
      "(operator, left, right or -1, axes) of each step; values are numbered operands first. None "
      "where the equation does not fit. Copies.");
}

}  // namespace narfast::bindings
