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

  /// For vectors of `dim` floats; beyond `limit` motifs those that were computed are forgotten.
  MotifCache(std::size_t dim, std::size_t limit) : dim_(dim), limit_(limit) {}

  std::size_t dim() const { return dim_; }
  std::size_t size() const;

  /// Vectors [ids, dim] of distinct motifs. What no thread has computed yet or is computing now is
  /// computed here; then what other threads began to compute meanwhile is waited for. No thread
  /// waits before it has handed over what others may wait for, so none waits for ever.
  std::vector<float> get(std::span<const Hash128> ids, const Compute& compute);

  /// Keeps vectors [ids, dim] that were computed elsewhere; they are not forgotten.
  void insert(std::span<const Hash128> ids, std::span<const float> vectors);

  /// Moves out what was computed since the last call, ids and vectors in the order of the ids.
  /// Nothing is remembered for that before the first call.
  std::pair<std::vector<Hash128>, std::vector<float>> take_new();

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
