// One declaration per file of bindings; module.cpp calls them in order.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>

namespace narfast::bindings {

/// Name of the class of narfast.errors that an exception of the core becomes; null for all others.
const char* error_class(const std::exception& error);

void bind_errors(pybind11::module_& m);
void bind_operators(pybind11::module_& m);
void bind_graph(pybind11::module_& m);
void bind_onnx(pybind11::module_& m);
void bind_einsum(pybind11::module_& m);
void bind_motifs(pybind11::module_& m);
void bind_align(pybind11::module_& m);
void bind_layout(pybind11::module_& m);
void bind_match(pybind11::module_& m);
void bind_encoder(pybind11::module_& m);
void bind_search_spaces(pybind11::module_& m);

}  // namespace narfast::bindings
