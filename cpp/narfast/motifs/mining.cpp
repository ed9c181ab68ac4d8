// The simple ways to divide a graph, and the numbering and naming of motifs for all miners.
#include "narfast/motifs/mining.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <unordered_map>

#include "narfast/base/parallel.h"
#include "narfast/graph/structural_hash.h"
#include "narfast/motifs/neighbor_sequence.h"
#include "narfast/motifs/repeats.h"

namespace narfast {
namespace {

std::vector<std::int32_t> fixed_size(NodeId nodes, NodeId size) {
  std::vector<std::int32_t> segment(index(nodes));
  for (NodeId i = 0; i < nodes; ++i) segment[index(i)] = i / size;
  return segment;
}

std::vector<std::int32_t> fixed_count(NodeId nodes, NodeId count) {
  std::vector<std::int32_t> segment(index(nodes));
  for (NodeId i = 0; i < nodes; ++i)
    segment[index(i)] =
        static_cast<std::int32_t>(static_cast<std::int64_t>(i) * std::min(count, nodes) / nodes);
  return segment;
}

std::vector<std::int32_t> random_sizes(NodeId nodes, const MiningOptions& options) {
  std::vector<std::int32_t> segment(index(nodes));
  // From the network alone: the other networks of the batch must not matter.
  std::uint64_t state = mix64(options.seed ^ mix64(static_cast<std::uint64_t>(nodes)));
  const auto width =
      static_cast<std::uint64_t>(std::int64_t{options.max_size} - options.min_size + 1);
  std::int32_t number = 0;
  for (NodeId i = 0; i < nodes; ++number) {
    state = mix64(state);
    const NodeId size = options.min_size + static_cast<NodeId>(state % width);
    for (const NodeId end = static_cast<NodeId>(
             std::min<std::int64_t>(static_cast<std::int64_t>(i) + size, nodes));
         i < end; ++i)
      segment[index(i)] = number;
  }
  return segment;
}

std::vector<std::int32_t> divide(const GraphView& graph, const MiningOptions& options) {
  switch (options.method) {
    case MiningMethod::kRepeats:
      return find_repeats(graph);
    case MiningMethod::kNeighborSequence:
      return neighbor_sequence(graph);
    case MiningMethod::kFixedSize:
      return fixed_size(graph.num_nodes(), options.size);
    case MiningMethod::kFixedCount:
      return fixed_count(graph.num_nodes(), options.count);
    case MiningMethod::kRandom:
      return random_sizes(graph.num_nodes(), options);
  }
  throw std::invalid_argument("unknown mining method");
}

// Renumbers instances by their first node. Returns how many there are.
std::int32_t renumber(std::vector<std::int32_t>& instance) {
  std::vector<std::int32_t> new_number(
      instance.empty() ? 0 : index(*std::max_element(instance.begin(), instance.end())) + 1, -1);
  std::int32_t next = 0;
  for (std::int32_t& number : instance) {
    if (new_number[index(number)] < 0) new_number[index(number)] = next++;
    number = new_number[index(number)];
  }
  return next;
}

// All arrays of a graph in one string: equal where the graphs are equal, number by number.
std::u32string content_of(const LooseGraph& graph) {
  std::u32string content;
  content.reserve(1 + 3 * graph.op.size() + graph.in_src.size());
  content.push_back(static_cast<char32_t>(graph.op.size()));
  for (std::size_t i = 0; i < graph.op.size(); ++i)
    content += {graph.op[i], graph.attr[i], static_cast<char32_t>(graph.in_ptr[i + 1])};
  for (NodeId source : graph.in_src) content.push_back(static_cast<char32_t>(source));
  return content;
}

std::vector<Hash128> motif_ids(const GraphView& graph, const std::vector<std::int32_t>& instance,
                               std::int32_t num_instances) {
  const auto members = group_by<Offset, NodeId>(std::span(instance), index(num_instances));
  std::vector<NodeId> position(instance.size());  // of each node, within its instance
  for (std::size_t number = 0; number < members.size(); ++number)
    for (NodeId at = 0; const NodeId node : members[number]) position[index(node)] = at++;

  std::vector<Hash128> ids;
  ids.reserve(index(num_instances));
  std::unordered_map<std::u32string, Hash128> known;
  LooseGraph induced;
  for (std::int32_t number = 0; number < num_instances; ++number) {
    induced.op.clear();
    induced.attr.clear();
    induced.in_ptr.assign(1, 0);
    induced.in_src.clear();
    induced.outputs.clear();
    bool topological = true;
    for (const NodeId node : members[number]) {
      induced.op.push_back(graph.op[index(node)]);
      induced.attr.push_back(graph.attr[index(node)]);
      for (NodeId source : graph.inputs(node)) {
        if (instance[index(source)] != number) continue;
        induced.in_src.push_back(position[index(source)]);
        topological &= source < node;
      }
      induced.in_ptr.push_back(static_cast<Offset>(induced.in_src.size()));
      induced.outputs.push_back(position[index(node)]);
    }
    const auto hash = [&] {
      return topological
                 ? structural_hash({induced.op, induced.attr, induced.in_ptr, induced.in_src})
                 : structural_hash(order_nodes(induced).graph.view());
    };
    // Most motifs occur again, and comparison costs less than hashing. A motif of more than half of
    // the nodes cannot occur again.
    if (2 * induced.op.size() > graph.op.size()) {
      ids.push_back(hash());
      continue;
    }
    const auto [at, added] = known.try_emplace(content_of(induced));
    if (added) at->second = hash();
    ids.push_back(at->second);
  }
  return ids;
}

}  // namespace

MiningMethod mining_method(std::string_view name) {
  using Entry = std::pair<std::string_view, MiningMethod>;
  constexpr auto methods = std::to_array<Entry>({
      {"repeats", MiningMethod::kRepeats},
      {"neighbor_sequence", MiningMethod::kNeighborSequence},
      {"fixed_size", MiningMethod::kFixedSize},
      {"fixed_count", MiningMethod::kFixedCount},
      {"random", MiningMethod::kRandom},
  });
  std::string names;
  for (const auto& [known, method] : methods) {
    if (known == name) return method;
    names += (names.empty() ? "" : ", ") + std::string(known);
  }
  throw std::invalid_argument("no mining method is called '" + std::string(name) + "'; there are " +
                              names);
}

Motifs mine(const GraphBatchView& batch, const MiningOptions& options, int num_threads) {
  if (options.size < 1 || options.count < 1 || options.min_size < 1 ||
      options.max_size < options.min_size)
    throw std::invalid_argument(
        "size, count and min_size must be at least 1, and max_size at least min_size");
  struct Result {
    std::vector<std::int32_t> instance;
    std::vector<Hash128> ids;
  };
  std::vector<Result> results(batch.size());
  parallel_for(batch.size(), num_threads, [&](std::size_t g) {
    const GraphView graph = batch[g];
    std::vector<std::int32_t> instance = divide(graph, options);
    const std::int32_t count = renumber(instance);
    std::vector<Hash128> ids = motif_ids(graph, instance, count);
    results[g] = {std::move(instance), std::move(ids)};
  });

  Motifs motifs;
  motifs.node_instance.reserve(batch.op.size());
  for (const Result& result : results) {
    motifs.node_instance.insert(motifs.node_instance.end(), result.instance.begin(),
                                result.instance.end());
    motifs.motif_id.insert(motifs.motif_id.end(), result.ids.begin(), result.ids.end());
    motifs.instance_ptr.push_back(static_cast<Offset>(motifs.motif_id.size()));
  }
  return motifs;
}

}  // namespace narfast
