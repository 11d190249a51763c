// A few threads that share the items of a loop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
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

  // Calls body(step, share) for a share of each thread in every step; each step waits for the one
  // before. A thread keeps its share, so that what belongs to it stays in its cache, and takes
  // another's only where that thread does not come. One caller at a time.
  void RunSteps(int64_t steps, const std::function<void(int64_t, int64_t)>& body) {
    const int64_t shares = threads_;
    const std::unique_ptr<Counter[]> claimed(new Counter[shares]);
    Counter done, late;
    Run(shares, [&](int64_t me) {
      for (int64_t step = Load(done) / shares; step < steps; ++step) {
        const int64_t end = (step + 1) * shares;
        for (int64_t k = 0; k < shares && Load(done) < end; ++k) {
          Counter& share = claimed[(me + k) % shares];
          for (int spins = 0; k && spins < kPatience && Load(done) < end; ++spins) Pause();
          int64_t expected = step;
          if (share.value.compare_exchange_strong(expected, step + 1)) {
            body(step, (me + k) % shares);
            done.value.fetch_add(1, std::memory_order_release);
          }
        }
        int spins = 0;
        for (; Load(done) < end; ++spins) spins < kSpins ? Pause() : std::this_thread::yield();
        if (spins > kSpins) late.value.fetch_add(1, std::memory_order_relaxed);
      }
    });
    if (Load(late) * kSeldom > steps) crowded_ = kCalls;
  }

  // Whether waiting for one another at every step would not pay at present: other programs use the
  // processor, and a thread that is put aside in the middle of a step holds up the others.
  bool Crowded() { return crowded_ > 0 && crowded_-- > 0; }

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
  // A share of a step takes microseconds.
  static constexpr int kPatience = 500;
  // One late step in so many is too many, and for so many calls it is not tried again.
  static constexpr int kSeldom = 20, kCalls = 50;

  // Alone on its line of the cache.
  struct alignas(64) Counter {
    std::atomic<int64_t> value{0};
  };

  static int64_t Load(const Counter& counter) {
    return counter.value.load(std::memory_order_acquire);
  }

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
  int crowded_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t items_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> active_{0};
  std::atomic<uint64_t> round_{0};
};

}  // namespace apps
