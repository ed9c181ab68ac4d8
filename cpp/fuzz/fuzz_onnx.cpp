// libFuzzer target: any bytes through the ONNX reader, the graph builder and the graph validator.
// Only the two documented errors may come out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "narfast/base/errors.h"
#include "narfast/graph/graph.h"
#include "narfast/onnx/raw_graph.h"
#include "narfast/passes/canonicalize.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  narfast::onnx::RawGraph raw;
  try {
    raw = narfast::onnx::build_raw_graph(narfast::onnx::parse_model({data, size}));
  } catch (const narfast::CorruptFile&) {
    return 0;
  } catch (const narfast::InvalidGraph&) {
    return 0;
  }
  // What the reader accepts must be a valid graph, before and after canonicalization: an exception
  // here is a finding.
  const std::vector<narfast::Graph> graphs{raw.graph};
  const narfast::GraphBatch batch = narfast::concatenate(graphs);
  narfast::validate(batch.view());
  const narfast::PassMask all =
      ~narfast::PassMask{0} >> (32 - narfast::canonicalization_passes().size());
  narfast::validate(narfast::canonicalize(batch.view(), all, 1).view());
  return 0;
}
