// The gradient of an LSTM over all steps.
#pragma once

#include "call.h"

namespace apps {

// The tensors of one call of the gradient, on top of those of the forward pass.
struct Gradient : Call {
  const float *cs_grad, *h_grad;
  float *x_grad, *c0_grad, *h0_grad, *w_grad, *wci_grad, *wcf_grad, *wco_grad, *b_grad;

  int64_t width() const { return panels() * kPanel; }
  // Padded, because rows a power of two apart would compete for a few sets of the cache.
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

// Writes rows [begin, end) of z times packed rows of weights into out, `columns` wide.
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

// Goes one step back for rows [begin, end): from the gradients at the states after the step, in dh
// and dc, computes those at the gates' inputs, into z, and at the cell state before, into dc.
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

// Adds a chunk's share of the peepholes' gradients: z times the cell state that each gate sees.
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

// Adds a chunk's share of the weights' gradients: sources, transposed, times z, for one panel of
// gates and sources [begin, end).
inline void AddToSums(const Gradient& call, const float* sources, const float* z, int64_t rows,
               int64_t begin, int64_t end, float* sums) {
  constexpr int64_t kDepth = 128;  // this many rows of a panel of z fit into the L1 cache
  for (int64_t k = 0; k < rows; k += kDepth)
    ForTiles(begin, end, [&](auto size, int64_t source) {
      constexpr int R = size;
      // Summed separately first: small terms added to a large sum lose digits.
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
  const int64_t chunk = std::max<int64_t>(1, 512 / std::max<int64_t>(1, batch));
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
    constexpr int64_t kBlock = 16 * kRows;
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
