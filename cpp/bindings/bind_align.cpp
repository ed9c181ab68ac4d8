// Alignment of two graphs.
#include "arrays.h"
#include "bindings.h"
#include "narfast/align/align.h"

namespace narfast::bindings {

using namespace py::literals;

void bind_align(py::module_& m) {
  m.def(
      "align",
      [](const py::array& op, const py::array& attr, const py::array& node_ptr,
         const py::array& in_ptr, const py::array& in_src, const py::array& part_a,
         const py::array& part_b) {
        const GraphBatchView batch = share_batch(op, attr, node_ptr, in_ptr, in_src);
        const Parts parts{share<std::int32_t>(part_a, "part_a"),
                          share<std::int32_t>(part_b, "part_b")};
        Alignment alignment;
        {
          const py::gil_scoped_release unlocked;
          validate(batch);
          if (batch.size() != 2) throw InvalidGraph("align takes a batch of two graphs");
          alignment = align(batch[0], batch[1], parts);
        }
        return py::make_tuple(give(std::move(alignment.to_b)), give(std::move(alignment.to_a)),
                              alignment.kept_edges);
      },
      "op"_a, "attr"_a, "node_ptr"_a, "in_ptr"_a, "in_src"_a, py::kw_only(), "part_a"_a, "part_b"_a,
      "(to_b, to_a, kept edges) of a batch of two graphs: int32 partners, -1 for none. Shares its "
      "arguments.");
}

}  // namespace narfast::bindings
