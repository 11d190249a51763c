// Vectors of floats, the functions that an LSTM needs, and small matrix products.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace apps {

// A tile of kRows rows and four vectors of columns fills the registers: 24 accumulators of 32
// with AVX-512 and NEON, 12 of 16 elsewhere.
#if defined(__AVX512F__)
constexpr int kLanes = 16, kRows = 6;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRows = 3;
#elif defined(__ARM_NEON)
constexpr int kLanes = 4, kRows = 6;
#else
constexpr int kLanes = 4, kRows = 3;
#endif
constexpr int kPanel = 4 * kLanes;

typedef float Vec __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t IntVec __attribute__((vector_size(kLanes * sizeof(float))));

// Subtracting zero is exact, so that compilers reduce this to a broadcast; adding it is not.
inline Vec Splat(float x) { return x - Vec{}; }

inline Vec Load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

inline void Store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }

// The first `n` lanes; the others are zero.
inline Vec Load(const float* p, int n) {
  if (n >= kLanes) return Load(p);
  Vec v{};
  for (int lane = 0; lane < n; ++lane) v[lane] = p[lane];
  return v;
}

inline void Store(float* p, Vec v, int n) {
  if (n >= kLanes) return Store(p, v);
  for (int lane = 0; lane < n; ++lane) p[lane] = v[lane];
}

// exp(x), to about one unit in the last place: x = n ln 2 + r with |r| <= ln(2)/2, and the
// Taylor series of exp(r) to the seventh power. Saturates where float does; NaN stays NaN.
inline Vec Exp(Vec x) {
  x = x < -87.0f ? Splat(-87.0f) : x;
  x = x > 88.0f ? Splat(88.0f) : x;
  const Vec shift = Splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = x * 1.44269504f + shift;
  const Vec n = shifted - shift;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = Splat(1.0f / 5040);
  for (float c : {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f}) p = p * r + c;
  const IntVec exponent = ((IntVec)shifted - (IntVec)shift) << 23;
  return (Vec)((IntVec)p + exponent);
}

inline Vec Sigmoid(Vec x) { return 1.0f / (1.0f + Exp(-x)); }

// Near zero 1 - 2/(e^2x + 1) cancels, and the odd Taylor series is used instead.
inline Vec Tanh(Vec x) {
  const Vec square = x * x;
  Vec p = Splat(-929569.0f / 638512875);
  for (float c : {21844.0f / 6081075, -1382.0f / 155925, 62.0f / 2835, -17.0f / 315, 2.0f / 15,
                  -1.0f / 3})
    p = p * square + c;
  const Vec near = x + x * square * p;
  const Vec far = 1.0f - 2.0f / (1.0f + Exp(2.0f * x));
  return square < 0.16f ? near : far;
}

// Adds to a tile of R rows and one panel of columns the product of
//   R rows of a, whose entries are a_step apart from k to k + 1 and row_step from row to row, and
//   a panel b of kPanel columns, b_step apart from k to k + 1.
// Terms are summed in blocks first, because a long sum of single terms loses digits.
template <int R>
inline __attribute__((always_inline)) void Multiply(Vec (&tile)[R][4], int64_t depth,
                                                    const float* a, int64_t row_step,
                                                    int64_t a_step, const float* b,
                                                    int64_t b_step) {
  constexpr int64_t kBlock = 128;
  for (; depth > 0; depth -= kBlock) {
    Vec sum[R][4] = {};
    for (int64_t k = 0; k < kBlock && k < depth; ++k, a += a_step, b += b_step) {
      const Vec b0 = Load(b), b1 = Load(b + kLanes), b2 = Load(b + 2 * kLanes),
                b3 = Load(b + 3 * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const Vec s = Splat(a[r * row_step]);
        sum[r][0] += s * b0;
        sum[r][1] += s * b1;
        sum[r][2] += s * b2;
        sum[r][3] += s * b3;
      }
    }
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < 4; ++v) tile[r][v] += sum[r][v];
  }
}

template <int R, class Body>
inline void CallTile(int rows, int64_t row, const Body& body) {
  if (rows == R) {
    body(std::integral_constant<int, R>(), row);
  } else if constexpr (R > 1) {
    CallTile<R - 1>(rows, row, body);
  }
}

// Calls body(R, row) for tiles of R <= kRows rows, R a compile-time constant, that cover
// [begin, end). Tiles are as equal as possible, because narrow tiles are slow.
template <class Body>
inline void ForTiles(int64_t begin, int64_t end, const Body& body) {
  int64_t tiles = (end - begin + kRows - 1) / kRows;
  for (int64_t row = begin; row < end; --tiles) {
    const int rows = static_cast<int>((end - row + tiles - 1) / tiles);
    CallTile<kRows>(rows, row, body);
    row += rows;
  }
}

}  // namespace apps
