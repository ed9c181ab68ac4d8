// libFuzzer target: any bytes through the ONNX reader, the graph builder and the graph validator.
// Only documented errors may come out.
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
  // An accepted file must give a valid graph, before and after canonicalization: any exception but
  // NotSettled is a finding.
  const std::vector<narfast::Graph> graphs{raw.graph};
  const narfast::GraphBatch batch = narfast::concatenate(graphs);
  narfast::validate(batch.view());
  const narfast::PassMask all = narfast::all_passes();
  narfast::GraphBatch canonical;
  try {
    canonical = narfast::canonicalize(batch.view(), {}, all, 1).graphs;
  } catch (const narfast::NotSettled&) {
    return 0;
  }
  narfast::validate(canonical.view());
  return 0;
}
