// Coarsens every graph on its own, then concatenates the results.
#include "narfast/motifs/coarsen.h"

#include <algorithm>
#include <string>

#include "narfast/base/parallel.h"

namespace narfast {
namespace {

MacroGraphs coarsen_one(const GraphView& graph, std::span<const std::int32_t> instance,
                        std::int32_t num_instances) {
  MacroGraphs macro;
  for (std::int32_t number : instance)
    if (number < 0 || number >= num_instances)
      throw InvalidGraph("instance number " + std::to_string(number) + " is not in [0, " +
                         std::to_string(num_instances) + ")");
  Csr<Offset, NodeId> members = group_by<Offset, NodeId>(instance, index(num_instances));
  for (std::int32_t i = 0; i < num_instances; ++i)
    if (members[i].empty()) throw InvalidGraph("instance " + std::to_string(i) + " has no node");

  std::vector<std::int32_t> sources;
  for (std::int32_t i = 0; i < num_instances; ++i) {
    sources.clear();
    for (const NodeId node : members[i])
      for (NodeId source : graph.inputs(node))
        if (instance[index(source)] != i) sources.push_back(instance[index(source)]);
    std::sort(sources.begin(), sources.end());
    for (std::size_t begin = 0; begin < sources.size();) {
      std::size_t end = begin;
      while (end < sources.size() && sources[end] == sources[begin]) ++end;
      macro.in_src.push_back(sources[begin]);
      macro.in_count.push_back(static_cast<std::int32_t>(end - begin));
      begin = end;
    }
    macro.in_ptr.push_back(static_cast<Offset>(macro.in_src.size()));
  }
  macro.member_ptr = std::move(members.ptr);
  macro.member = std::move(members.values);
  return macro;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void append_offsets(std::vector<Offset>& to, const std::vector<Offset>& from) {
  const Offset base = to.back();
  for (std::size_t i = 1; i < from.size(); ++i) to.push_back(base + from[i]);
}

}  // namespace

MacroGraphs coarsen(const GraphBatchView& batch, std::span<const std::int32_t> node_instance,
                    std::span<const Offset> instance_ptr, int num_threads) {
  if (node_instance.size() != batch.op.size() || instance_ptr.size() != batch.size() + 1)
    throw InvalidGraph(
        "node_instance needs one entry per node and instance_ptr one per graph and "
        "one more; were the motifs mined from another batch?");
  if (instance_ptr.front() != 0) throw InvalidGraph("instance_ptr must start at 0");
  for (std::size_t g = 0; g < batch.size(); ++g)
    if (instance_ptr[g + 1] < instance_ptr[g] ||
        instance_ptr[g + 1] - instance_ptr[g] > batch.node_ptr[g + 1] - batch.node_ptr[g])
      throw InvalidGraph("instance_ptr falls, or counts more instances than nodes, at graph " +
                         std::to_string(g));

  std::vector<MacroGraphs> parts(batch.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t g) {
    const auto begin = index(batch.node_ptr[g]);
    parts[g] =
        coarsen_one(batch[g], node_instance.subspan(begin, index(batch.node_ptr[g + 1]) - begin),
                    static_cast<std::int32_t>(instance_ptr[g + 1] - instance_ptr[g]));
  });

  MacroGraphs macro;
  macro.member.reserve(node_instance.size());
  for (const MacroGraphs& part : parts) {
    append_offsets(macro.in_ptr, part.in_ptr);
    append(macro.in_src, part.in_src);
    append(macro.in_count, part.in_count);
    append_offsets(macro.member_ptr, part.member_ptr);
    append(macro.member, part.member);
  }
  return macro;
}

}  // namespace narfast
