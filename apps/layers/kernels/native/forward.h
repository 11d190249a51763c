// An LSTM over all steps, for float32 on a CPU; backward.h has its gradient.
//
// Steps are processed in chunks that stay in cache. Products that do not depend on the step before
// (inputs times weights; in the gradient those for the gradients of inputs and weights) cover a
// whole chunk. One product per step remains in the recurrence, against weights packed in the order
// in which they are read; the gates are computed on its result while it is in registers. Threads
// share the rows of the batch in the recurrence, and tiles of the results in the products. No sum
// is split, so results do not depend on the number of threads.

#pragma once

#include "call.h"

namespace apps {

// Copies rows [begin, end) of the weights into panels: for each group of kLanes units, and each
// row, the weights of the four gates. `columns` is the position of each gate in a row of w.
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

// Computes the gates' pre-activations from the inputs of rows [begin, end) of steps [first, last),
// and writes them where the gates will be. Rows beyond the batch are those of the next steps.
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

// One step of panels [first, last) of units, for rows [begin, end) of the batch.
inline void Step(const Call& call, const float* packed, float cell_clip, int64_t t, int64_t begin,
                 int64_t end, int64_t first, int64_t last) {
  const int64_t units = call.units, at = t % call.gate_period * call.step_size();
  const float *h_before = call.h_before(t), *c_before = call.c_before(t);
  float* const cell = call.cell(t);
  float* const hidden = call.h + t * call.step_size();
  float* const cell_output = call.co ? call.co + t * call.step_size() : nullptr;
  packed += first * units * kPanel;
  for (int64_t panel = first; panel < last; ++panel, packed += units * kPanel) {
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

// Runs all steps. Where `i`, `ci`, `f` and `o`, or `cs`, are null, their values are kept only as
// long as they are needed.
inline void Forward(Call call, float cell_clip) {
  if (call.batch == 0 || call.steps == 0) return;
  constexpr int columns[4] = {0, 2, 1, 3};  // of V2: input, forget, cell, output
  constexpr int64_t kBlock = 16 * kRows;
  const int64_t width = call.panels() * kPanel, batch = call.batch, step = call.step_size();
  Workers& workers = shared->workers;
  float* const input_weights = shared->weights.Get((call.features + call.units) * width);
  float* const recurrent_weights = input_weights + call.features * width;
  PackGates(call, columns, 0, call.features, input_weights);
  PackGates(call, columns, call.features, call.features + call.units, recurrent_weights);
  // With fewer groups of rows than threads, threads share the inputs' product by steps. They also
  // share recurrent weights that overflow a core's first cache, or its second where there are more
  // rows, since a few rows are too little work for reading all of them; they then synchronise at
  // every step.
  constexpr int64_t kFirstCache = 512 << 10, kSecondCache = 2 << 20, kFew = 2;
  const int64_t size = call.units * width * 4;
  const bool wide = size > kSecondCache && batch <= 4 * kRows;
  const bool heavy = wide || (size > kFirstCache && batch <= kFew);
  const bool together = heavy && workers.threads() > 1 && !workers.Crowded();
  const bool few = wide || together || call.parts() < workers.threads();
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
      Step(call, recurrent_weights, cell_clip, t, call.part_begin(part), call.part_begin(part + 1),
           0, call.panels());
  };
  const auto chunk_end = [&](int64_t first) { return std::min(first + chunk, call.steps); };
  if (few) {
    for (int64_t t = 0; t < call.steps; t += chunk) {
      const int64_t rows = (chunk_end(t) - t) * batch;
      workers.Run((rows + kBlock - 1) / kBlock, [&](int64_t block) {
        Project(call, columns, input_weights, t, t + 1, block * kBlock,
                std::min((block + 1) * kBlock, rows));
      });
      const auto share_step = [&](int64_t s, int64_t share) {
        Step(call, recurrent_weights, cell_clip, s, 0, batch,
             call.panels() * share / workers.threads(),
             call.panels() * (share + 1) / workers.threads());
      };
      if (together) {
        workers.RunSteps(chunk_end(t) - t,
                         [&](int64_t step, int64_t share) { share_step(t + step, share); });
      } else if (wide) {
        for (int64_t s = t; s < chunk_end(t); ++s)
          workers.Run(workers.threads(), [&](int64_t share) { share_step(s, share); });
      } else {
        workers.Run(call.parts(), [&](int64_t part) { run_part(part, t, chunk_end(t)); });
      }
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

}  // namespace apps
