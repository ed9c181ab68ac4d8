// libFuzzer target: any arrays through the graph validator, then accepted graphs through
// canonicalization, hashing, mining and coarsening.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "narfast/base/errors.h"
#include "narfast/graph/graph.h"
#include "narfast/graph/operators.h"
#include "narfast/graph/structural_hash.h"
#include "narfast/motifs/coarsen.h"
#include "narfast/motifs/mining.h"
#include "narfast/passes/canonicalize.h"

namespace {

/// Hands out the fuzzer's bytes one number at a time; zeros when they are used up.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint8_t byte() { return at_ < size_ ? data_[at_++] : 0; }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = (value << 8) | byte();
    return value;
  }
  bool empty() const { return at_ >= size_; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

/// Mode 0: mostly well-formed graphs, so that the passes are reached. Mode 1: raw numbers.
narfast::GraphBatch read_batch(Bytes bytes) {
  narfast::GraphBatch batch;
  const bool raw = bytes.byte() % 4 == 3;
  const auto operators = static_cast<std::uint32_t>(narfast::operator_table().size());
  narfast::NodeId local = 0;
  while (!bytes.empty() && batch.op.size() < 4096) {
    const std::uint8_t head = bytes.byte();
    batch.op.push_back(
        static_cast<narfast::OpId>(raw ? bytes.byte() * 2u : bytes.byte() % operators));
    batch.attr.push_back(head & 0x80 ? bytes.word() : 0);
    for (int i = 0; i < (head & 3); ++i) {
      const int back = bytes.byte();
      const narfast::NodeId source = raw ? back - 4 : local - 1 - back;
      if (raw || source >= 0) batch.in_src.push_back(source);
    }
    batch.in_ptr.push_back(static_cast<narfast::Offset>(batch.in_src.size()));
    ++local;
    if ((head & 0x70) == 0x70) {
      batch.node_ptr.push_back(static_cast<narfast::Offset>(batch.op.size()));
      local = 0;
    }
  }
  batch.node_ptr.push_back(static_cast<narfast::Offset>(batch.op.size()));
  if (raw && !batch.in_ptr.empty()) {
    const std::uint8_t which = bytes.byte();
    batch.in_ptr[which % batch.in_ptr.size()] = static_cast<std::int32_t>(bytes.word());
  }
  return batch;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const narfast::GraphBatch batch = read_batch({data, size});
  try {
    narfast::validate(batch.view());
  } catch (const narfast::InvalidGraph&) {
    return 0;
  }
  const narfast::PassMask all = narfast::all_passes();
  narfast::GraphBatch canonical;
  try {
    canonical = narfast::canonicalize(batch.view(), {}, all, 1).graphs;
  } catch (const narfast::NotSettled&) {
    return 0;
  }
  narfast::validate(canonical.view());
  // Canonical means: doing it again changes nothing.
  if (narfast::canonicalize(canonical.view(), {}, all, 1).graphs != canonical) std::abort();
  (void)narfast::structural_hash(canonical.view(), 1);
  for (const auto method :
       {narfast::MiningMethod::kRepeats, narfast::MiningMethod::kNeighborSequence}) {
    const narfast::Motifs motifs = narfast::mine(canonical.view(), {.method = method}, 1);
    const narfast::MacroGraphs macro =
        narfast::coarsen(canonical.view(), motifs.node_instance, motifs.instance_ptr, 1);
    // Every node belongs to exactly one instance, and every instance has a node.
    if (macro.member.size() != canonical.op.size()) std::abort();
    if (macro.member_ptr.size() != motifs.motif_id.size() + 1) std::abort();
  }
  return 0;
}
