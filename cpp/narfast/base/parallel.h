// Independent work items over threads, with results and errors that do not depend on how many.
#pragma once

#include <cstddef>
#include <functional>

namespace narfast {

/// `check` runs now and then on the calling thread; true stops the loop with Interrupted. Set once
/// by the host program (the Python bindings look for Ctrl-C); none by default.
void set_interrupt_check(std::function<bool()> check);

/// `num_threads`; 0 stands for the number of hardware threads. At least 1.
[[nodiscard]] int thread_count(int num_threads);

/// Calls `work(item)` for every item in [0, count) on up to `thread_count(num_threads)` threads
/// (the calling thread is one of them). Items are handed out one at a time, so `work` must write to
/// the place of its item only. If items throw, the lowest-numbered error is rethrown after all
/// threads have ended.
void parallel_for(std::size_t count, int num_threads, const std::function<void(std::size_t)>& work);

}  // namespace narfast
