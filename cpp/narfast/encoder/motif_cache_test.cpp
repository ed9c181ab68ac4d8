// Each motif is computed once, by whichever thread comes first; what was kept and what was lost.
#include "narfast/encoder/motif_cache.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

namespace narfast {
namespace {

constexpr std::size_t kDim = 3;

std::vector<Hash128> ids_of(std::initializer_list<std::uint64_t> numbers) {
  std::vector<Hash128> ids;
  for (const std::uint64_t number : numbers) ids.push_back({0, number});
  return ids;
}

/// Vectors that name their motifs.
std::vector<float> vectors_of(std::span<const Hash128> ids) {
  std::vector<float> vectors;
  for (const Hash128 id : ids)
    for (std::size_t i = 0; i < kDim; ++i) vectors.push_back(static_cast<float>(10 * id.low + i));
  return vectors;
}

/// Asks for motifs and tells which of them were computed for that.
std::vector<std::uint64_t> computed_by_get(MotifCache& cache, const std::vector<Hash128>& ids) {
  std::vector<std::uint64_t> computed;
  const auto vectors = cache.get(ids, [&](std::span<const std::size_t> positions) {
    std::vector<Hash128> wanted;
    for (const std::size_t i : positions) {
      wanted.push_back(ids[i]);
      computed.push_back(ids[i].low);
    }
    return vectors_of(wanted);
  });
  CHECK(vectors == vectors_of(ids));
  return computed;
}

using Numbers = std::vector<std::uint64_t>;

TEST_CASE("four threads compute each motif once and all get it") {
  constexpr std::size_t kMotifs = 200;
  MotifCache cache(kDim, 1000);
  std::array<std::atomic<int>, kMotifs> computed{};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t number = 0; number < 4; ++number)
    threads.emplace_back([&, number] {
      for (std::size_t begin = 0; begin < kMotifs; begin += 5) {
        std::vector<Hash128> ids;  // windows overlap; two threads walk the other way
        for (std::size_t i = begin; i < std::min(begin + 20, kMotifs); ++i)
          ids.push_back({0, number % 2 ? i : kMotifs - 1 - i});
        const auto vectors = cache.get(ids, [&](std::span<const std::size_t> positions) {
          std::vector<Hash128> wanted;
          for (const std::size_t i : positions) {
            ++computed[ids[i].low];
            wanted.push_back(ids[i]);
          }
          std::this_thread::sleep_for(std::chrono::microseconds(50));
          return vectors_of(wanted);
        });
        if (vectors != vectors_of(ids)) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  for (const auto& times : computed) CHECK(times == 1);
  CHECK(cache.size() == kMotifs);
}

TEST_CASE("a thread that waits takes over from one that fails") {
  MotifCache cache(kDim, 1000);
  const auto ids = ids_of({1, 2});
  std::atomic<bool> claimed{false}, asked{false};
  std::thread failing([&] {
    const auto fail = [&](std::span<const std::size_t>) -> std::vector<float> {
      claimed = true;
      while (!asked) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the other waits by now
      throw std::runtime_error("stopped");
    };
    CHECK_THROWS_WITH_AS(cache.get(ids, fail), "stopped", std::runtime_error);
  });
  while (!claimed) std::this_thread::yield();
  asked = true;
  CHECK(computed_by_get(cache, ids_of({2, 3})) == Numbers{3, 2});
  failing.join();
  CHECK(cache.size() == 2);
  CHECK(computed_by_get(cache, ids) == Numbers{1});
}

TEST_CASE("beyond the limit what was computed is forgotten, what was inserted is not") {
  MotifCache cache(kDim, 2);
  const auto inserted = ids_of({1, 2, 3});
  cache.insert(inserted, vectors_of(inserted));
  CHECK(computed_by_get(cache, ids_of({1, 4, 5})) == Numbers{4, 5});
  CHECK(computed_by_get(cache, ids_of({4, 5, 6})) == Numbers{6});  // two are not beyond it
  CHECK(computed_by_get(cache, ids_of({2, 4})) == Numbers{4});     // three are
  CHECK(cache.size() == 4);
}

TEST_CASE("vectors that are there already are not replaced") {
  MotifCache cache(kDim, 10);
  const auto ids = ids_of({1});
  CHECK(computed_by_get(cache, ids) == Numbers{1});
  cache.insert(ids, std::vector<float>(kDim, -1.0f));
  CHECK(computed_by_get(cache, ids).empty());
}

TEST_CASE("what is new is remembered from the first call on, and given out once") {
  MotifCache cache(kDim, 10);
  computed_by_get(cache, ids_of({9}));
  CHECK(cache.take_new().first.empty());
  computed_by_get(cache, ids_of({7, 3, 9}));
  const auto inserted = ids_of({5});
  cache.insert(inserted, vectors_of(inserted));
  const auto [ids, vectors] = cache.take_new();
  CHECK(ids == ids_of({3, 7}));
  CHECK(vectors == vectors_of(ids));
  CHECK(cache.take_new().first.empty());
}

TEST_CASE("clear forgets everything") {
  MotifCache cache(kDim, 10);
  const auto inserted = ids_of({1});
  cache.insert(inserted, vectors_of(inserted));
  computed_by_get(cache, ids_of({2}));
  cache.clear();
  CHECK(cache.size() == 0);
  CHECK(computed_by_get(cache, ids_of({1, 2})) == Numbers{1, 2});
}

}  // namespace
}  // namespace narfast
