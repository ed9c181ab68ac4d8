// Threads take items off a counter; the calling thread polls for interrupts between its own.
#include "narfast/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPollEvery = std::chrono::milliseconds(50);

std::function<bool()>& interrupt_check() {
  static std::function<bool()> check;
  return check;
}

}  // namespace

void set_interrupt_check(std::function<bool()> check) { interrupt_check() = std::move(check); }

int thread_count(int num_threads) {
  if (num_threads > 0) return num_threads;
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

void parallel_for(std::size_t count, int num_threads,
                  const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::size_t failed_item = std::numeric_limits<std::size_t>::max();
  std::exception_ptr error;

  auto loop = [&](bool polls) {
    auto last_poll = Clock::now();
    for (;;) {
      const std::size_t item = next.fetch_add(1, std::memory_order_relaxed);
      if (item >= count) return;
      {
        // Items after a failed one need not run; items before it must, to find the lowest error.
        const std::scoped_lock lock(mutex);
        if (stop || item > failed_item) return;
      }
      try {
        if (polls && interrupt_check() && Clock::now() - last_poll > kPollEvery) {
          last_poll = Clock::now();
          if (interrupt_check()()) {
            stop = true;
            throw Interrupted();
          }
        }
        work(item);
      } catch (...) {
        const std::scoped_lock lock(mutex);
        if (item < failed_item) {
          failed_item = item;
          error = std::current_exception();
        }
      }
    }
  };

  const auto wanted = static_cast<std::size_t>(thread_count(num_threads));
  const std::size_t threads = std::min(wanted, std::max<std::size_t>(1, count));
  std::vector<std::thread> pool;
  pool.reserve(threads - 1);
  try {
    for (std::size_t t = 1; t < threads; ++t) pool.emplace_back(loop, false);
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
    // The system gives no more threads: those there are, and this one, do the work.
  }
  loop(true);
  for (std::thread& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace narfast
