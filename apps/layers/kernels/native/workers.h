// A few threads that share the items of a loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace apps {

// TensorFlow's own pool cannot be reached through its C interface. Workers live as long as the
// process: joining them while it exits could wait for ever.
class Workers {
 public:
  explicit Workers(int threads) : threads_(threads) {
    for (int i = 1; i < threads; ++i) std::thread([this] { Serve(); }).detach();
  }

  int threads() const { return threads_; }

  // Calls body(item) for every item in [0, items), in any order, and returns when all are done.
  // One caller at a time. A worker that wakes late is not waited for: it finds the loop closed.
  void Run(int64_t items, const std::function<void(int64_t)>& body) {
    if (threads_ == 1 || items <= 1) {
      for (int64_t item = 0; item < items; ++item) body(item);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      items_ = items;
      next_.store(0);
      round_.fetch_add(1);
    }
    wake_.notify_all();
    Take(body, items);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = nullptr;
    }
    for (int spins = 0; active_.load(std::memory_order_acquire) > 0; ++spins)
      if (spins > kSpins) std::this_thread::yield();
  }

 private:
  // Loops follow one another within microseconds; waking a thread that sleeps takes tens.
  static constexpr int kSpins = 4000;

  void Take(const std::function<void(int64_t)>& body, int64_t items) {
    for (int64_t item; (item = next_.fetch_add(1)) < items;) body(item);
  }

  void Serve() {
    for (uint64_t seen = 0;;) {
      for (int spins = 0; round_.load(std::memory_order_acquire) == seen && spins < kSpins; ++spins)
        Pause();
      const std::function<void(int64_t)>* body;
      int64_t items;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load() != seen; });
        seen = round_.load();
        body = body_;
        items = items_;
        if (body != nullptr) active_.fetch_add(1);
      }
      if (body == nullptr) continue;
      Take(*body, items);
      active_.fetch_sub(1, std::memory_order_release);
    }
  }

  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  const int threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t items_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> active_{0};
  std::atomic<uint64_t> round_{0};
};

}  // namespace apps
