// Layered drawings as functions of arrays.
#include <algorithm>

#include "arrays.h"
#include "bindings.h"
#include "narfast/layout/layout.h"

namespace narfast::bindings {

using namespace py::literals;

void bind_layout(py::module_& m) {
  m.def(
      "layered_layout",
      [](const py::array& in_ptr, const py::array& in_src, const py::array& widths,
         const py::array& heights, double node_gap, double layer_gap, int sweeps) {
        const CsrView<Offset, NodeId> inputs{share<Offset>(in_ptr, "in_ptr"),
                                             share<NodeId>(in_src, "in_src")};
        if (inputs.ptr.empty() || inputs.ptr.front() != 0 ||
            inputs.ptr.back() != static_cast<Offset>(inputs.values.size()) ||
            !std::is_sorted(inputs.ptr.begin(), inputs.ptr.end()))
          throw std::invalid_argument("in_ptr must rise from 0 to the length of in_src");
        const auto w = share<double>(widths, "widths");
        const auto h = share<double>(heights, "heights");
        Layout layout;
        {
          const py::gil_scoped_release unlocked;
          layout = layered_layout(inputs, w, h, {node_gap, layer_gap, sweeps});
        }
        return py::make_tuple(give(std::move(layout.layer)), give(std::move(layout.place)),
                              give(std::move(layout.x)), give(std::move(layout.y)),
                              give(std::move(layout.route_ptr)), give(std::move(layout.route_x)),
                              give(std::move(layout.route_y)), give(std::move(layout.bridge)),
                              layout.crossings, layout.width, layout.height);
      },
      "in_ptr"_a, "in_src"_a, "widths"_a, "heights"_a, py::kw_only(), "node_gap"_a, "layer_gap"_a,
      "sweeps"_a,
      "(layer, place, x, y, route_ptr, route_x, route_y, bridge, crossings, width, height); see "
      "narfast.drawing.layout. Shares its arguments.");
  m.def(
      "count_crossings",
      [](const py::array& from, const py::array& to, const py::array& weight) {
        const auto f = share<std::int32_t>(from, "from");
        const auto t = share<std::int32_t>(to, "to");
        const auto w = share<std::int32_t>(weight, "weight");
        const py::gil_scoped_release unlocked;
        return count_crossings(f, t, w);
      },
      "from_place"_a, "to_place"_a, "weight"_a,
      "Crossings of straight edges between two layers, by the places of their ends.");
}

}  // namespace narfast::bindings
