// The tensors of one call, and the memory and threads that calls share.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "vectors.h"
#include "workers.h"

namespace apps {

// Gates of a unit as the kernels number them: input, cell, forget, output.
enum Gate { kInput, kCell, kForget, kOutput };

// Memory that calls reuse, because fresh pages cost more than the small products.
class Scratch {
 public:
  float* Get(int64_t size) {
    if (size > size_) {
      memory_.reset(static_cast<float*>(std::aligned_alloc(64, (size * 4 + 63) / 64 * 64)));
      size_ = memory_ ? size : 0;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t size_ = 0;
};

// Shared by all calls; one call at a time uses all threads and the memory.
struct Shared {
  explicit Shared(int threads) : workers(threads) {}

  std::mutex running;
  Workers workers;
  Scratch weights, states, gates, chunk, sums;
};

// Set once and never freed: a process may exit while a call is running or workers wait.
inline Shared* shared = nullptr;

inline int64_t RoundUp(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

// The tensors of one call. Those of every step are (steps, batch, width), row-major.
struct Call {
  int64_t steps, batch, features, units;
  const float *x, *c0, *h0, *w, *b;
  const float *wci, *wcf, *wco;  // null without peepholes
  float *i, *cs, *f, *o, *ci, *co, *h;
  // The memory of the gates and of the cell is reused after this many steps: after all of them if
  // the gradient needs the values.
  int64_t gate_period, cell_period;

  int64_t panels() const { return (units + kLanes - 1) / kLanes; }
  int64_t parts() const {  // groups of rows that run through time independently
    return std::clamp<int64_t>((batch + 1) / 2, 1, shared->workers.threads());
  }
  int64_t part_begin(int64_t part) const { return batch * part / parts(); }
  int64_t step_size() const { return batch * units; }
  float* cell(int64_t t) const { return cs + t % cell_period * step_size(); }
  const float* h_before(int64_t t) const { return t ? h + (t - 1) * step_size() : h0; }
  const float* c_before(int64_t t) const { return t ? cell(t - 1) : c0; }
};

}  // namespace apps
