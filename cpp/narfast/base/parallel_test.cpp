// Every item once, errors that do not depend on the thread count, and Ctrl-C.
#include "narfast/base/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

TEST_CASE("parallel_for visits every item exactly once") {
  for (int threads : {-1, 0, 1, 2, 7}) {
    std::vector<std::atomic<int>> visits(1000);
    parallel_for(visits.size(), threads, [&](std::size_t i) { ++visits[i]; });
    for (const auto& count : visits) CHECK(count == 1);
  }
}

TEST_CASE("parallel_for of nothing does nothing") {
  parallel_for(0, 4, [](std::size_t) { FAIL("there is no item"); });
}

TEST_CASE("the error of the lowest item wins, however threads interleave") {
  for (int threads : {1, 2, 4})
    for (int trial = 0; trial < 50; ++trial) {
      const auto work = [&](std::size_t i) {
        if (i % 10 != 3) return;
        if (i == 3) std::this_thread::sleep_for(std::chrono::microseconds(200));  // fails last
        throw std::runtime_error("item " + std::to_string(i));
      };
      CHECK_THROWS_WITH_AS(parallel_for(100, threads, work), "item 3", std::runtime_error);
    }
}

TEST_CASE("a positive interrupt check stops the loop") {
  for (int threads : {1, 2}) {
    std::atomic<int> done{0};
    set_interrupt_check([] { return true; });
    const auto work = [&](std::size_t) {
      ++done;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
    CHECK_THROWS_AS(parallel_for(100'000, threads, work), Interrupted);
    CHECK(done < 100'000);
    set_interrupt_check(nullptr);
  }
}

TEST_CASE("a negative interrupt check changes nothing") {
  std::atomic<int> asked{0}, done{0};
  set_interrupt_check([&] {
    ++asked;
    return false;
  });
  parallel_for(150, 1, [&](std::size_t) {
    ++done;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  set_interrupt_check(nullptr);
  CHECK(done == 150);
  CHECK(asked > 0);
}

}  // namespace
}  // namespace narfast
