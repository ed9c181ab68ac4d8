// One map behind one lock, taken a few times for each handful of networks.
#include "narfast/encoder/motif_cache.h"

#include <algorithm>

namespace narfast {

std::size_t MotifCache::size() const {
  const std::scoped_lock lock(mutex_);
  return entries_.size();
}

std::vector<float> MotifCache::get(std::span<const Hash128> ids, const Compute& compute) {
  std::vector<float> vectors(ids.size() * dim_);
  std::vector<Shared> entry(ids.size());
  const auto copy = [&](std::size_t i) {
    std::copy(entry[i]->vector.begin(), entry[i]->vector.end(),
              vectors.begin() + static_cast<std::ptrdiff_t>(i * dim_));
  };
  std::vector<std::size_t> open(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) open[i] = i;
  while (!open.empty()) {
    std::vector<std::size_t> claimed, awaited;
    claimed.reserve(open.size());
    awaited.reserve(open.size());
    try {
      {
        const std::scoped_lock lock(mutex_);
        if (entries_.size() - inserted_ > limit_) forget();
        for (const std::size_t i : open) {
          const auto at = entries_.find(ids[i]);
          if (at == entries_.end()) {
            entry[i] = std::make_shared<Entry>();
            entry[i]->vector.resize(dim_);
            entries_.emplace(ids[i], entry[i]);
            claimed.push_back(i);
            continue;
          }
          entry[i] = at->second;
          if (entry[i]->ready)
            copy(i);
          else
            awaited.push_back(i);
        }
      }
      if (!claimed.empty()) {
        const std::vector<float> computed = compute(claimed);
        const std::scoped_lock lock(mutex_);
        for (std::size_t c = 0; c < claimed.size(); ++c) {
          const std::size_t i = claimed[c];
          if (remembers_new_) new_.emplace_back(ids[i], entry[i]);
          const auto from = computed.begin() + static_cast<std::ptrdiff_t>(c * dim_);
          std::copy(from, from + static_cast<std::ptrdiff_t>(dim_), entry[i]->vector.begin());
          entry[i]->ready = true;
          copy(i);
        }
      }
    } catch (...) {
      // Waiting threads must take over the motifs claimed here.
      {
        const std::scoped_lock lock(mutex_);
        for (const std::size_t i : claimed) {
          if (entry[i]->ready) continue;
          entry[i]->failed = true;
          const auto at = entries_.find(ids[i]);
          if (at != entries_.end() && at->second == entry[i]) entries_.erase(at);
        }
      }
      changed_.notify_all();
      throw;
    }
    if (!claimed.empty()) changed_.notify_all();
    open.clear();
    std::unique_lock lock(mutex_);
    for (const std::size_t i : awaited) {
      changed_.wait(lock, [&] { return entry[i]->ready || entry[i]->failed; });
      if (entry[i]->ready)
        copy(i);
      else
        open.push_back(i);  // the thread that had claimed it failed
    }
  }
  return vectors;
}

void MotifCache::insert(std::span<const Hash128> ids, std::span<const float> vectors) {
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (entries_.contains(ids[i])) continue;
    const auto added = std::make_shared<Entry>();
    const auto from = vectors.subspan(i * dim_, dim_);
    added->vector.assign(from.begin(), from.end());
    added->ready = added->inserted = true;
    entries_.emplace(ids[i], added);
    ++inserted_;
  }
}

std::pair<std::vector<Hash128>, std::vector<float>> MotifCache::take_new() {
  std::vector<std::pair<Hash128, Shared>> taken;
  {
    const std::scoped_lock lock(mutex_);
    remembers_new_ = true;
    taken.swap(new_);
  }
  std::sort(taken.begin(), taken.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::pair<std::vector<Hash128>, std::vector<float>> result;
  for (const auto& [id, entry] : taken) {
    if (!entry->ready) continue;  // the thread that had claimed it failed
    result.first.push_back(id);
    result.second.insert(result.second.end(), entry->vector.begin(), entry->vector.end());
  }
  return result;
}

void MotifCache::clear() {
  const std::scoped_lock lock(mutex_);
  std::erase_if(entries_, [](const auto& item) { return item.second->ready; });
  inserted_ = 0;
}

void MotifCache::forget() {
  std::erase_if(entries_,
                [](const auto& item) { return item.second->ready && !item.second->inserted; });
}

}  // namespace narfast
