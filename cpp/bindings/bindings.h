// One declaration per file of bindings; module.cpp calls them in order.
#pragma once

#include <pybind11/pybind11.h>

namespace narfast::bindings {

void bind_errors(pybind11::module_& m);
void bind_operators(pybind11::module_& m);
void bind_graph(pybind11::module_& m);
void bind_onnx(pybind11::module_& m);
void bind_motifs(pybind11::module_& m);

}  // namespace narfast::bindings
