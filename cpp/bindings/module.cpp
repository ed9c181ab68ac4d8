// Table of contents of the extension module narfast._core.
#include <pybind11/pybind11.h>

#include "bindings.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of narfast. Private: use the functions of the narfast package.";
  using namespace narfast::bindings;
  bind_errors(m);
  bind_operators(m);
  bind_graph(m);
  bind_onnx(m);
  bind_einsum(m);
  bind_motifs(m);
  bind_align(m);
  bind_layout(m);
  bind_match(m);
  bind_encoder(m);
  bind_search_spaces(m);
}
