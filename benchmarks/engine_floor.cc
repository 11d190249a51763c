// What a machine allows: small products from packed weights, and reading weights, on all threads.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "vectors.h"

namespace {

using apps::kPanel;
using apps::Vec;
using Clock = std::chrono::steady_clock;

// Milliseconds of one run of `work`, which every thread repeats by itself for about 5 ms.
double Milliseconds(int threads, const std::function<void(int)>& work) {
  std::vector<double> found(threads);
  std::vector<std::thread> pool;
  for (int thread = 0; thread < threads; ++thread)
    pool.emplace_back([&, thread] {
      work(thread);
      const auto start = Clock::now();
      double elapsed = 0;
      int64_t count = 0;
      for (; elapsed < 5; ++count) {
        work(thread);
        elapsed = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
      }
      found[thread] = elapsed / count;
    });
  for (auto& one : pool) one.join();
  return *std::max_element(found.begin(), found.end());
}

// Work of a thread would be removed if nothing came of it.
volatile float sink;

}  // namespace

extern "C" {

// Of one product, rows x depth by depth x (4 * units), threads sharing rows, or columns where rows
// are fewer than threads.
double ProductMilliseconds(int64_t rows, int64_t depth, int64_t units, int threads) {
  const int64_t panels = (4 * units + kPanel - 1) / kPanel;
  const std::vector<float> a(rows * depth, 0.5f), b(panels * depth * kPanel + 16, 0.5f);
  return Milliseconds(threads, [&](int thread) {
    const bool by_rows = rows >= threads;
    const int64_t all = by_rows ? rows : panels;
    const int64_t begin = all * thread / threads, end = all * (thread + 1) / threads;
    float sum = 0;
    for (int64_t panel = by_rows ? 0 : begin; panel < (by_rows ? panels : end); ++panel)
      apps::ForTiles(by_rows ? begin : 0, by_rows ? end : rows, [&](auto size, int64_t row) {
        constexpr int R = size;
        Vec tile[R][4] = {};
        apps::Multiply<R>(tile, depth, a.data() + row * depth, depth, 1,
                          b.data() + panel * depth * kPanel, kPanel);
        for (int r = 0; r < R; ++r)
          sum += tile[r][0][0] + tile[r][1][0] + tile[r][2][0] + tile[r][3][0];
      });
    sink = sum;
  });
}

// Of reading so many numbers once, each thread its share again and again, from whatever cache
// holds it.
double ReadMilliseconds(int64_t numbers, int threads) {
  const std::vector<float> b(numbers + 64, 0.5f);
  return Milliseconds(threads, [&](int thread) {
    const int64_t begin = numbers * thread / threads, end = numbers * (thread + 1) / threads;
    Vec sum[4] = {};
    for (int64_t k = begin; k + kPanel <= end; k += kPanel)
      for (int v = 0; v < 4; ++v) sum[v] += apps::Load(b.data() + k + v * apps::kLanes);
    sink = sum[0][0] + sum[1][0] + sum[2][0] + sum[3][0];
  });
}

}
