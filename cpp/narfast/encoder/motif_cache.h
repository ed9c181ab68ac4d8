// Vectors of motifs by their ids, shared by threads: each motif is encoded once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "narfast/graph/hash128.h"

namespace narfast {

class MotifCache {
 public:
  /// Computes vectors [positions, dim] of the ids at some positions.
  using Compute = std::function<std::vector<float>(std::span<const std::size_t> positions)>;

  /// For vectors of `dim` floats. Computed vectors are forgotten beyond `limit` motifs.
  MotifCache(std::size_t dim, std::size_t limit) : dim_(dim), limit_(limit) {}

  [[nodiscard]] std::size_t dim() const { return dim_; }
  [[nodiscard]] std::size_t size() const;

  /// Vectors [ids, dim] of distinct motifs. Computes the motifs that no other thread has computed
  /// or claimed, then waits for the motifs that other threads have claimed. A thread hands over its
  /// own motifs before it waits, so none waits for ever.
  [[nodiscard]] std::vector<float> get(std::span<const Hash128> ids, const Compute& compute);

  /// Keeps vectors [ids, dim] from elsewhere; they are never forgotten.
  void insert(std::span<const Hash128> ids, std::span<const float> vectors);

  /// Moves out the motifs computed since the last call: ids and vectors, ascending by id. The first
  /// call starts the record.
  [[nodiscard]] std::pair<std::vector<Hash128>, std::vector<float>> take_new();

  void clear();

 private:
  struct Entry {
    std::vector<float> vector;
    bool ready = false;
    bool failed = false;
    bool inserted = false;
  };
  using Shared = std::shared_ptr<Entry>;

  void forget();

  std::size_t dim_;
  std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<Hash128, Shared, Hash128Hasher> entries_;
  std::size_t inserted_ = 0;
  bool remembers_new_ = false;
  std::vector<std::pair<Hash128, Shared>> new_;
};

}  // namespace narfast
