// The operator table, its spellings, and the packing of attributes.
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "bindings.h"
#include "narfast/graph/attributes.h"
#include "narfast/graph/operators.h"

namespace narfast::bindings {

namespace py = pybind11;
using namespace py::literals;

void bind_operators(py::module_& m) {
  m.def(
      "operator_table",
      [] {
        py::typing::List<py::typing::Tuple<py::str, py::str, py::int_>> rows;
        for (const OperatorInfo& info : operator_table())
          rows.append(py::make_tuple(info.name, category_name(info.category), info.traits));
        return rows;
      },
      "The operator table in id order: (name, category, trait bits).");
  m.def(
      "find_spelling",
      [](const std::string& frontend, const std::string& spelling) -> py::object {
        Frontend which;
        if (frontend == "autograd") {
          which = Frontend::kAutograd;
        } else if (frontend == "aten") {
          which = Frontend::kAten;
        } else if (frontend == "onnx") {
          which = Frontend::kOnnx;
        } else {
          throw py::value_error("frontend must be 'autograd', 'aten' or 'onnx', got '" + frontend +
                                "'");
        }
        const auto found = find_spelling(which, spelling);
        return found ? py::object(py::make_tuple(found->op, found->data_inputs)) : py::none();
      },
      "frontend"_a, "spelling"_a, "(operator id, data inputs or -1), or None.");
  m.def(
      "attribute_layout",
      [] {
        py::typing::Dict<py::str, py::typing::Tuple<py::int_, py::int_>> layout;
        for (const attr::Field& field : attr::kLayout)
          layout[py::str(field.name)] = py::make_tuple(field.shift, field.bits);
        return layout;
      },
      "The fields of packed attributes in the order of their bits: {name: (first bit, bits)}.");
  m.def(
      "pack_attributes",
      [](int kernel, int stride, int groups, int in_channels, int out_channels, int dilation,
         int heads, int spatial_rank, bool square, bool param_operand, bool scalar_operand,
         bool constant_first, bool last_axis, bool space_axes, bool layout_permute,
         int constant_class) {
        return pack_attributes({.kernel = kernel,
                                .stride = stride,
                                .groups = groups,
                                .in_channels = in_channels,
                                .out_channels = out_channels,
                                .dilation = dilation,
                                .heads = heads,
                                .spatial_rank = spatial_rank,
                                .square = square,
                                .param_operand = param_operand,
                                .scalar_operand = scalar_operand,
                                .constant_first = constant_first,
                                .last_axis = last_axis,
                                .space_axes = space_axes,
                                .layout_permute = layout_permute,
                                .constant_class = constant_class});
      },
      py::kw_only(), "kernel"_a = 0, "stride"_a = 0, "groups"_a = 0, "in_channels"_a = 0,
      "out_channels"_a = 0, "dilation"_a = 0, "heads"_a = 0, "spatial_rank"_a = 0,
      "square"_a = true, "param_operand"_a = false, "scalar_operand"_a = false,
      "constant_first"_a = false, "last_axis"_a = false, "space_axes"_a = false,
      "layout_permute"_a = false, "constant_class"_a = 0,
      "Attributes binned and packed into 32 bits; see cpp/narfast/graph/attributes.h.");
}

}  // namespace narfast::bindings
