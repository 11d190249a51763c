// An LSTM and its gradient over all steps, for float32 on a CPU.
//
// Steps are dealt with in chunks that stay in cache. The products that do not depend on the
// step before (inputs times weights; in the gradient those that give the gradients of inputs and
// weights) are taken over a whole chunk; what remains in the recurrence is one product per step,
// against weights packed in the order in which they are read, with the gates computed on its
// result while it is in registers. Rows of the batch are shared among threads in the recurrence,
// tiles of the results in the products. No sum is split, so results do not depend on the number
// of threads.

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

// Memory that is kept from call to call: fresh pages cost more than the small products.
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

// What calls share: one at a time has all the threads and the memory.
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
  // After so many steps the gates' and the cell's memory is used again: all of them where the
  // values are kept for the gradient.
  int64_t gate_period, cell_period;

  int64_t panels() const { return (units + kLanes - 1) / kLanes; }
  int64_t parts() const {  // groups of rows that run through time on their own
    return std::clamp<int64_t>((batch + 1) / 2, 1, shared->workers.threads());
  }
  int64_t part_begin(int64_t part) const { return batch * part / parts(); }
  int64_t step_size() const { return batch * units; }
  float* cell(int64_t t) const { return cs + t % cell_period * step_size(); }
  const float* h_before(int64_t t) const { return t ? h + (t - 1) * step_size() : h0; }
  const float* c_before(int64_t t) const { return t ? cell(t - 1) : c0; }
};

// Copies rows [begin, end) of the weights into panels: for each group of kLanes units, and each
// row, the weights of the four gates. `columns` gives the place of each gate in a row of w.
inline void PackGates(const Call& call, const int (&columns)[4], int64_t begin, int64_t end,
                      float* packed) {
  shared->workers.Run(call.panels(), [&](int64_t panel) {
    const int64_t unit = panel * kLanes;
    const int n = static_cast<int>(std::min<int64_t>(kLanes, call.units - unit));
    float* out = packed + panel * (end - begin) * kPanel;
    for (int64_t row = begin; row < end; ++row)
      for (int gate = 0; gate < 4; ++gate, out += kLanes)
        Store(out, Load(call.w + (4 * row + columns[gate]) * call.units + unit, n));
  });
}

// Values of the gates before their activation, from the inputs of rows [begin, end) of steps
// [first, last), written where the gates themselves will be. Rows beyond the batch are those of
// the steps that follow.
inline void Project(const Call& call, const int (&columns)[4], const float* packed, int64_t first,
             int64_t last, int64_t begin, int64_t end) {
  const int64_t features = call.features, units = call.units, batch = call.batch;
  float* const gates[4] = {call.i, call.ci, call.f, call.o};
  for (int64_t panel = 0; panel < call.panels(); ++panel, packed += features * kPanel) {
    const int64_t unit = panel * kLanes;
    const int n = static_cast<int>(std::min<int64_t>(kLanes, units - unit));
    Vec bias[4];
    for (int gate = 0; gate < 4; ++gate)
      bias[gate] = Load(call.b + columns[gate] * units + unit, n);
    for (int64_t t = first; t < last; ++t) {
      const float* const x = call.x + t * batch * features;
      const int64_t at = t % call.gate_period * call.step_size() + unit;
      ForTiles(begin, end, [&](auto size, int64_t row) {
        constexpr int R = size;
        Vec tile[R][4] = {};
        Multiply<R>(tile, features, x + row * features, features, 1, packed, kPanel);
        for (int r = 0; r < R; ++r)
          for (int gate = 0; gate < 4; ++gate)
            Store(gates[gate] + at + (row + r) * units, tile[r][gate] + bias[gate], n);
      });
    }
  }
}

// One step of rows [begin, end) of the batch.
inline void Step(const Call& call, const float* packed, float cell_clip, int64_t t, int64_t begin,
          int64_t end) {
  const int64_t units = call.units, at = t % call.gate_period * call.step_size();
  const float *h_before = call.h_before(t), *c_before = call.c_before(t);
  float* const cell = call.cell(t);
  float* const hidden = call.h + t * call.step_size();
  float* const cell_output = call.co ? call.co + t * call.step_size() : nullptr;
  for (int64_t panel = 0; panel < call.panels(); ++panel, packed += units * kPanel) {
    const int64_t unit = panel * kLanes;
    const int n = static_cast<int>(std::min<int64_t>(kLanes, units - unit));
    ForTiles(begin, end, [&](auto size, int64_t row) {
      constexpr int R = size;
      Vec tile[R][4] = {};
      Multiply<R>(tile, units, h_before + row * units, units, 1, packed, kPanel);
      for (int r = 0; r < R; ++r) {
        const int64_t state = (row + r) * units + unit, k = at + state;
        const Vec before = Load(c_before + state, n);
        tile[r][kInput] += Load(call.i + k, n);
        tile[r][kCell] += Load(call.ci + k, n);
        tile[r][kForget] += Load(call.f + k, n);
        tile[r][kOutput] += Load(call.o + k, n);
        if (call.wci) {
          tile[r][kInput] += Load(call.wci + unit, n) * before;
          tile[r][kForget] += Load(call.wcf + unit, n) * before;
        }
        const Vec i = Sigmoid(tile[r][kInput]), ci = Tanh(tile[r][kCell]),
                  f = Sigmoid(tile[r][kForget]);
        Vec c = f * before + i * ci;
        if (cell_clip > 0) {
          c = c < -cell_clip ? Splat(-cell_clip) : c;
          c = c > cell_clip ? Splat(cell_clip) : c;
        }
        if (call.wco) tile[r][kOutput] += Load(call.wco + unit, n) * c;
        const Vec o = Sigmoid(tile[r][kOutput]), co = Tanh(c);
        Store(call.i + k, i, n);
        Store(call.ci + k, ci, n);
        Store(call.f + k, f, n);
        Store(call.o + k, o, n);
        Store(cell + state, c, n);
        if (cell_output) Store(cell_output + state, co, n);
        Store(hidden + state, o * co, n);
      }
    });
  }
}

// Runs all steps. Without `i`, `ci`, `f` and `o`, or without `cs`, those values are kept only as
// long as they are needed.
inline void Forward(Call call, float cell_clip) {
  constexpr int columns[4] = {0, 2, 1, 3};  // of V2: input, forget, cell, output
  constexpr int64_t kBlock = 8 * kRows;
  const int64_t width = call.panels() * kPanel, batch = call.batch, step = call.step_size();
  Workers& workers = shared->workers;
  float* const input_weights = shared->weights.Get((call.features + call.units) * width);
  float* const recurrent_weights = input_weights + call.features * width;
  PackGates(call, columns, 0, call.features, input_weights);
  PackGates(call, columns, call.features, call.features + call.units, recurrent_weights);
  // With fewer groups of rows than threads, the inputs' product is shared out by steps.
  const bool few = call.parts() < workers.threads();
  const int64_t part_rows = (batch + call.parts() - 1) / call.parts();
  const int64_t chunk = std::max<int64_t>(1, few ? 256 / batch : kBlock / part_rows);

  float* scratch = shared->gates.Get((4 * chunk + 2) * step);
  call.gate_period = call.cell_period = call.steps;
  if (!call.i) {
    call.gate_period = chunk;
    for (float** gate : {&call.i, &call.ci, &call.f, &call.o}) {
      *gate = scratch;
      scratch += chunk * step;
    }
  }
  if (!call.cs) {
    call.cell_period = 2;
    call.cs = scratch;
  }
  const auto run_part = [&](int64_t part, int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t)
      Step(call, recurrent_weights, cell_clip, t, call.part_begin(part), call.part_begin(part + 1));
  };
  const auto chunk_end = [&](int64_t first) { return std::min(first + chunk, call.steps); };
  if (few) {
    for (int64_t t = 0; t < call.steps; t += chunk) {
      const int64_t rows = (chunk_end(t) - t) * batch;
      workers.Run((rows + kBlock - 1) / kBlock, [&](int64_t block) {
        Project(call, columns, input_weights, t, t + 1, block * kBlock,
                std::min((block + 1) * kBlock, rows));
      });
      workers.Run(call.parts(), [&](int64_t part) { run_part(part, t, chunk_end(t)); });
    }
    return;
  }
  workers.Run(call.parts(), [&](int64_t part) {
    for (int64_t t = 0; t < call.steps; t += chunk) {
      Project(call, columns, input_weights, t, chunk_end(t), call.part_begin(part),
              call.part_begin(part + 1));
      run_part(part, t, chunk_end(t));
    }
  });
}

// What the gradient has beside the tensors of the forward pass.
struct Gradient : Call {
  const float *cs_grad, *h_grad;
  float *x_grad, *c0_grad, *h0_grad, *w_grad, *wci_grad, *wcf_grad, *wco_grad, *b_grad;

  int64_t width() const { return panels() * kPanel; }
  // Padded: rows a power of two apart would share a few sets of the cache.
  int64_t z_step() const { return width() + kLanes; }
  int64_t h_step() const { return RoundUp(units, kPanel); }
  int64_t sources() const { return features + units + 1; }  // inputs, state, and 1 for the bias
};

// Transposes rows [begin, end) of the weights, gates in the order input, cell, forget, output,
// into panels: for each group of kPanel rows, and each gate of each unit, their weights.
inline void PackRows(const Gradient& call, int64_t begin, int64_t end, float* packed) {
  const int64_t width = call.width(), units = call.units;
  shared->workers.Run((end - begin + kPanel - 1) / kPanel, [&](int64_t group) {
    const int64_t first = begin + group * kPanel, rows = std::min<int64_t>(kPanel, end - first);
    float* out = packed + group * width * kPanel;
    for (int64_t panel = 0; panel < call.panels(); ++panel)
      for (int gate = 0; gate < 4; ++gate)
        for (int64_t unit = panel * kLanes; unit < (panel + 1) * kLanes; ++unit, out += kPanel)
          for (int64_t row = 0; row < kPanel; ++row)
            out[row] = row < rows && unit < units
                           ? call.w[(4 * (first + row) + gate) * units + unit]
                           : 0.0f;
  });
}

// rows [begin, end) of z times packed rows of weights, into out, `columns` wide.
inline void TimesWeights(const Gradient& call, const float* z, const float* packed, int64_t begin,
                  int64_t end, float* out, int64_t out_step, int64_t columns) {
  for (int64_t column = 0; column < columns; column += kPanel, packed += call.width() * kPanel)
    ForTiles(begin, end, [&](auto size, int64_t row) {
      constexpr int R = size;
      Vec tile[R][4] = {};
      Multiply<R>(tile, call.width(), z + row * call.z_step(), call.z_step(), 1, packed, kPanel);
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < 4; ++v) {
          const int64_t at = column + v * kLanes;
          if (at < columns)
            Store(out + (row + r) * out_step + at, tile[r][v],
                  static_cast<int>(std::min<int64_t>(kLanes, columns - at)));
        }
    });
}

// One step back of rows [begin, end): gradients at the gates' inputs into z, and at the cell
// state before into dc, from those at the states after, in dh and dc.
inline void StepBack(const Gradient& call, int64_t t, int64_t begin, int64_t end, const float* dh,
              float* dc, float* z) {
  const int64_t units = call.units, at = t * call.batch * units;
  const float* c_before = call.c_before(t);
  for (int64_t row = begin; row < end; ++row)
    for (int64_t panel = 0; panel < call.panels(); ++panel) {
      const int64_t unit = panel * kLanes, k = at + row * units + unit;
      const int n = static_cast<int>(std::min<int64_t>(kLanes, units - unit));
      const int64_t state = row * call.h_step() + unit;
      const Vec i = Load(call.i + k, n), ci = Load(call.ci + k, n), f = Load(call.f + k, n),
                o = Load(call.o + k, n), co = Load(call.co + k, n);
      const Vec d_h = Load(call.h_grad + k, n) + Load(dh + state);
      const Vec d_o = d_h * co * o * (1.0f - o);
      Vec d_c = Load(call.cs_grad + k, n) + Load(dc + state) + d_h * o * (1.0f - co * co);
      if (call.wco) d_c += d_o * Load(call.wco + unit, n);
      const Vec d_i = d_c * ci * i * (1.0f - i);
      const Vec d_f = d_c * Load(c_before + row * units + unit, n) * f * (1.0f - f);
      Vec d_before = d_c * f;
      if (call.wci) d_before += d_i * Load(call.wci + unit, n) + d_f * Load(call.wcf + unit, n);
      Store(dc + state, d_before);
      float* out = z + row * call.z_step() + panel * kPanel;
      Store(out + kInput * kLanes, d_i);
      Store(out + kCell * kLanes, d_c * i * (1.0f - ci * ci));
      Store(out + kForget * kLanes, d_f);
      Store(out + kOutput * kLanes, d_o);
    }
}

// Adds a chunk's part of the peepholes' gradients: z times the cell state that each gate sees.
inline void AddPeepholes(const Gradient& call, const float* z, int64_t first, int64_t last) {
  for (int64_t t = first; t < last; ++t)
    for (int64_t row = 0; row < call.batch; ++row, z += call.z_step())
      for (int64_t unit = 0; unit < call.units; ++unit) {
        const float* gates = z + unit / kLanes * kPanel + unit % kLanes;
        const int64_t at = row * call.units + unit;
        const float before = call.c_before(t)[at], after = call.c_before(t + 1)[at];
        call.wci_grad[unit] += gates[kInput * kLanes] * before;
        call.wcf_grad[unit] += gates[kForget * kLanes] * before;
        call.wco_grad[unit] += gates[kOutput * kLanes] * after;
      }
}

// Adds a chunk's part of the weights' gradients: sources, transposed, times z, for one panel of
// gates and sources [begin, end).
inline void AddToSums(const Gradient& call, const float* sources, const float* z, int64_t rows,
               int64_t begin, int64_t end, float* sums) {
  constexpr int64_t kDepth = 128;  // so many rows of a panel of z stay in the first cache
  for (int64_t k = 0; k < rows; k += kDepth)
    ForTiles(begin, end, [&](auto size, int64_t source) {
      constexpr int R = size;
      // Summed apart from what is there: small terms added to a large sum lose digits.
      Vec tile[R][4] = {};
      Multiply<R>(tile, std::min(kDepth, rows - k), sources + k * call.sources() + source, 1,
                  call.sources(), z + k * call.z_step(), call.z_step());
      for (int r = 0; r < R; ++r)
        for (int v = 0; v < 4; ++v) {
          float* const sum = sums + (source + r) * kPanel + v * kLanes;
          Store(sum, Load(sum) + tile[r][v]);
        }
    });
}

inline void Backward(const Gradient& call) {
  const int64_t batch = call.batch, units = call.units, features = call.features;
  const int64_t width = call.width(), sources = call.sources();
  float* const recurrent_rows =
      shared->weights.Get((RoundUp(units, kPanel) + RoundUp(features, kPanel)) * width);
  float* const input_rows = recurrent_rows + RoundUp(units, kPanel) * width;
  PackRows(call, features, features + units, recurrent_rows);
  PackRows(call, 0, features, input_rows);
  const int64_t states = batch * call.h_step();
  float* const dh = shared->states.Get(2 * states);
  float* const dc = dh + states;
  std::fill(dh, dh + 2 * states, 0.0f);
  float* const sums = shared->sums.Get(sources * width);
  std::fill(sums, sums + sources * width, 0.0f);
  const int64_t chunk = std::max<int64_t>(1, 512 / batch);
  float* const z = shared->chunk.Get(chunk * batch * (call.z_step() + sources));
  float* const source = z + chunk * batch * call.z_step();

  for (int64_t last = call.steps; last > 0; last = std::max<int64_t>(0, last - chunk)) {
    const int64_t first = std::max<int64_t>(0, last - chunk), rows = (last - first) * batch;
    shared->workers.Run(call.parts(), [&](int64_t part) {
      const int64_t begin = call.part_begin(part), end = call.part_begin(part + 1);
      for (int64_t t = last - 1; t >= first; --t) {
        float* const z_now = z + (t - first) * batch * call.z_step();
        StepBack(call, t, begin, end, dh, dc, z_now);
        TimesWeights(call, z_now, recurrent_rows, begin, end, dh, call.h_step(), call.h_step());
        for (int64_t row = begin; row < end; ++row) {
          float* const out = source + ((t - first) * batch + row) * sources;
          std::copy_n(call.x + (t * batch + row) * features, features, out);
          std::copy_n(call.h_before(t) + row * units, units, out + features);
          out[features + units] = 1.0f;
        }
      }
    });
    constexpr int64_t kBlock = 8 * kRows;
    const int64_t row_blocks = (rows + kBlock - 1) / kBlock;
    const int64_t halves = call.panels() * 2;
    shared->workers.Run(halves + row_blocks, [&](int64_t item) {
      if (item < halves) {
        const int64_t panel = item / 2, half = item % 2;
        AddToSums(call, source, z + panel * kPanel, rows, sources * half / 2,
                  sources * (half + 1) / 2, sums + panel * sources * kPanel);
      } else {
        const int64_t begin = (item - halves) * kBlock;
        TimesWeights(call, z, input_rows, begin, std::min(begin + kBlock, rows),
                     call.x_grad + first * batch * features, features, features);
      }
    });
    if (call.wci) AddPeepholes(call, z, first, last);
  }

  for (int64_t row = 0; row < batch; ++row) {
    std::copy_n(dh + row * call.h_step(), units, call.h0_grad + row * units);
    std::copy_n(dc + row * call.h_step(), units, call.c0_grad + row * units);
  }
  shared->workers.Run(sources, [&](int64_t row) {
    float* const out = row < sources - 1 ? call.w_grad + row * 4 * units : call.b_grad;
    for (int64_t panel = 0; panel < call.panels(); ++panel) {
      const float* sum = sums + (panel * sources + row) * kPanel;
      const int64_t n = std::min<int64_t>(kLanes, units - panel * kLanes);
      for (int gate = 0; gate < 4; ++gate)
        std::copy_n(sum + gate * kLanes, n, out + gate * units + panel * kLanes);
    }
  });
}

}  // namespace apps
