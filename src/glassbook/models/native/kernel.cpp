// What one generated token costs: products of few rows, and the blocks of Llama's form around them, on the CPU.
//
// Values are float32; weights are float32, bfloat16, or int8 with a scale for each row. Vectors are those of GCC and Clang,
// as wide as the processor's; the file is compiled for several instruction sets, of which the loader takes one.
// A buffer holds `feature` after `feature`, each with its `lanes`: one for a single row, sixteen for up to sixteen rows.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))

namespace {

using Size = int64_t;
#if defined(__AVX512F__)
constexpr Size WIDTH = 16;  // floats in a vector
#elif defined(__AVX2__)
constexpr Size WIDTH = 8;
#else
constexpr Size WIDTH = 4;
#endif
constexpr Size LANES = 16;    // rows that are computed side by side
constexpr Size TILE = 8;      // outputs that are computed at once
constexpr Size CHUNK = 192;   // inputs of a tile that are widened at once
constexpr Size MAX_HEAD = 512;
constexpr int SPINS = 2000;   // turns of a short wait before the core is offered to others

typedef float Floats __attribute__((vector_size(4 * WIDTH)));
typedef float Anywhere __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(4 * WIDTH)));

INLINE Floats load(const float* from) { return *reinterpret_cast<const Anywhere*>(from); }
INLINE void store(float* to, Floats value) { *reinterpret_cast<Anywhere*>(to) = value; }
#if defined(__AVX512F__)  // by hand, since compilers take these conversions apart into many steps
INLINE Floats load(const uint16_t* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
}
INLINE Floats load(const int8_t* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return (Floats)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
#elif defined(__AVX2__)
INLINE Floats load(const uint16_t* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return (Floats)_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
}
INLINE Floats load(const int8_t* from) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return (Floats)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
#else
typedef uint16_t Halves __attribute__((vector_size(2 * WIDTH), aligned(2), may_alias));
typedef int8_t Bytes __attribute__((vector_size(WIDTH), aligned(1), may_alias));
INLINE Floats load(const uint16_t* from) {
    return (Floats)(__builtin_convertvector(*reinterpret_cast<const Halves*>(from), Ints) << 16);
}
INLINE Floats load(const int8_t* from) {
    return __builtin_convertvector(__builtin_convertvector(*reinterpret_cast<const Bytes*>(from), Ints), Floats);
}
#endif
INLINE float single(float value) { return value; }
INLINE float single(int8_t value) { return value; }
INLINE float single(uint16_t value) {
    uint32_t bits = uint32_t(value) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}
INLINE void put(float* to, float value) { *to = value; }
INLINE void put(uint16_t* to, float value) {  // to the nearest bfloat16, halves to even
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    *to = uint16_t(value != value ? 0x7FC0 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}
INLINE float sum(Floats v) {
    float total = 0;
    for (Size i = 0; i < WIDTH / 2; i++) total += v[i] + v[i + WIDTH / 2];
    return total;
}
INLINE Floats all(float value) { return Floats{} + value; }

// exp by 2^n times a polynomial in the rest, to 2 units in the last place.
INLINE Floats exp(Floats x) {
    x = x < -87.0f ? all(-87.0f) : x;
    x = x > 88.0f ? all(88.0f) : x;
    const Floats shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    return p * (Floats)(((Ints)shifted + 127) << 23);
}

enum Kind : int32_t { FLOAT32, BFLOAT16, INT8 };

}  // namespace

extern "C" {

struct Matrix {  // [d_out, d_in], row after row
    const void* weight;
    const float* scales;  // of int8 only
    const float* bias;    // or null
    int64_t d_out, d_in;
    int32_t kind;
};

struct Block {
    const float *norm1, *norm2;
    Matrix qkv, out, gate_up, down;
    void *keys, *values;  // this layer's: [rows, kv_heads, columns, d_head]
    float eps;
};

struct Pass {
    float* stream;                 // [rows, d_model], read and written
    const float *cosines, *sines;  // [rows, d_head]; the first half of the sines is negative
    const uint8_t* visible;        // [rows, filled + 1]: which are seen, or null where all are
    int64_t rows, d_model, heads, kv_heads, d_head;
    int64_t columns, filled;       // there is room for `columns` tokens, and `filled` are there
    int32_t cache_kind;
};
}

namespace {

// The team of threads is torch's own: a second one would fight the first for the cores.
using Body = void (*)(void*);
void (*start_team)(Body, void*, unsigned, unsigned) = nullptr;
int (*number_in_team)() = nullptr;
int (*size_of_team)() = nullptr;

struct Barrier {
    std::atomic<int> waiting{0}, turn{0};
    void wait(int size) {
        if (size == 1) return;
        const int now = turn.load(std::memory_order_relaxed);
        if (waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
            waiting.store(0, std::memory_order_relaxed);
            turn.store(now + 1, std::memory_order_release);
            return;
        }
        for (int spin = 0; turn.load(std::memory_order_acquire) == now; spin++) {
            if (spin > SPINS) std::this_thread::yield();
#if defined(__x86_64__)
            else __builtin_ia32_pause();
#endif
        }
    }
};

struct Share {
    Size first, end;
};
// The outputs of one thread: whole tiles, but for the last.
INLINE Share share(Size n, int member, int size) {
    const Size tiles = (n + TILE - 1) / TILE;
    return {std::min(n, tiles * member / size * TILE), std::min(n, tiles * (member + 1) / size * TILE)};
}

// N outputs of a single row: each the sum over as many partial sums as a vector holds.
template <Size N, class T> INLINE void dots(const T* w, const float* x, Size d_in, float* y) {
    Floats sums[N] = {};
    Size k = 0;
    for (; k + WIDTH <= d_in; k += WIDTH) {
        const Floats xs = load(x + k);
        for (Size n = 0; n < N; n++) {
            // The next tile's row: so many streams at once are more than the processor fetches ahead by itself.
            __builtin_prefetch(w + (n + N) * d_in + k);
            sums[n] += load(w + n * d_in + k) * xs;
        }
    }
    for (Size n = 0; n < N; n++) {
        y[n] = sum(sums[n]);
        for (Size rest = k; rest < d_in; rest++) y[n] += single(w[n * d_in + rest]) * x[rest];
    }
}

// N outputs of sixteen rows: a weight at a time against the same feature of all rows.
template <Size N, class T> INLINE void tile(const T* w, const float* x, Size d_in, float* y) {
    constexpr Size LINE = 64 / sizeof(T);
    alignas(64) float wide[N][CHUNK];
    Floats sums[LANES / WIDTH][N] = {};
    for (Size first = 0; first < d_in; first += CHUNK) {
        const Size width = std::min(CHUNK, d_in - first);
        for (Size n = 0; n < N; n++) {
            const T* from = w + n * d_in + first;
            Size k = 0;
            for (; k + WIDTH <= width; k += WIDTH) store(wide[n] + k, load(from + k));
            for (; k < width; k++) wide[n][k] = single(from[k]);
        }
        // What is widened next is fetched meanwhile: the rest of these rows, or the beginning of the next tile's.
        const T* next = first + CHUNK < d_in ? w + first + CHUNK : w + N * d_in;
        for (Size part = 0; part < LANES / WIDTH; part++) {
            Floats here[N] = {};
            for (Size k = 0; k < width; k++) {
                if (part == 0 && k % LINE == 0)
                    for (Size n = 0; n < N; n++) __builtin_prefetch(next + n * d_in + k, 0, 2);
                const Floats xs = load(x + (first + k) * LANES + part * WIDTH);
                for (Size n = 0; n < N; n++) here[n] += xs * wide[n][k];
            }
            // Sums of sums round less than one long sum.
            for (Size n = 0; n < N; n++) sums[part][n] += here[n];
        }
    }
    for (Size part = 0; part < LANES / WIDTH; part++)
        for (Size n = 0; n < N; n++) store(y + n * LANES + part * WIDTH, sums[part][n]);
}

template <Size N, class T> INLINE void some(const T* w, const float* x, Size d_in, Size lanes, float* y) {
    if (lanes == 1) dots<N>(w, x, d_in, y);
    else tile<N>(w, x, d_in, y);
}

// At most TILE outputs from `first` on, of one kind of weight.
template <class T> INLINE void outputs_of(const Matrix& m, Size first, Size n, const float* x, Size lanes, float* y) {
    const T* w = static_cast<const T*>(m.weight) + first * m.d_in;
    if (n == TILE) some<TILE>(w, x, m.d_in, lanes, y);
    else for (Size i = 0; i < n; i++) some<1>(w + i * m.d_in, x, m.d_in, lanes, y + i * lanes);
    for (Size i = 0; i < n; i++) {
        const float scale = m.scales ? m.scales[first + i] : 1.0f, bias = m.bias ? m.bias[first + i] : 0.0f;
        for (Size lane = 0; lane < lanes; lane++) y[i * lanes + lane] = y[i * lanes + lane] * scale + bias;
    }
}

INLINE void outputs(const Matrix& m, Size first, Size n, const float* x, Size lanes, float* y) {
    if (m.kind == FLOAT32) outputs_of<float>(m, first, n, x, lanes, y);
    else if (m.kind == BFLOAT16) outputs_of<uint16_t>(m, first, n, x, lanes, y);
    else outputs_of<int8_t>(m, first, n, x, lanes, y);
}

// y = W x for this member's share of the outputs, or y += W x.
INLINE void product(const Matrix& m, const float* x, Size lanes, float* y, bool adds, int member, int size) {
    alignas(64) float fresh[TILE * LANES];
    const Share mine = share(m.d_out, member, size);
    for (Size first = mine.first; first < mine.end; first += TILE) {
        const Size n = std::min(TILE, mine.end - first);
        outputs(m, first, n, x, lanes, fresh);
        float* to = y + first * lanes;
        for (Size i = 0; i < n * lanes; i++) to[i] = adds ? to[i] + fresh[i] : fresh[i];
    }
}

// SwiGLU: the first half of the outputs gates the second.
INLINE void gated(const Matrix& m, const float* x, Size lanes, float* y, int member, int size) {
    alignas(64) float gate[TILE * LANES] = {}, up[TILE * LANES] = {};
    const Size half = m.d_out / 2;
    const Share mine = share(half, member, size);
    for (Size first = mine.first; first < mine.end; first += TILE) {
        const Size n = std::min(TILE, mine.end - first);
        outputs(m, first, n, x, lanes, gate);
        outputs(m, half + first, n, x, lanes, up);
        for (Size i = 0; i < n * lanes; i += WIDTH) {
            const Floats g = load(gate + i);
            store(gate + i, g / (1.0f + exp(-g)) * load(up + i));
        }
        std::memcpy(y + first * lanes, gate, n * lanes * sizeof(float));
    }
}

INLINE void rms_norm(const float* x, const float* weight, float eps, Size d, Size lanes, float* y) {
    if (lanes == 1) {
        float squares = 0;
        dots<1>(x, x, d, &squares);
        const float scale = 1.0f / std::sqrt(squares / d + eps);
        for (Size i = 0; i < d; i++) y[i] = x[i] * scale * weight[i];
        return;
    }
    for (Size lane = 0; lane < lanes; lane += WIDTH) {
        Floats scales = {};
        for (Size i = lane; i < d * lanes; i += lanes) scales += load(x + i) * load(x + i);
        for (Size i = 0; i < WIDTH; i++) scales[i] = 1.0f / std::sqrt(scales[i] / d + eps);
        for (Size i = 0; i < d; i++) store(y + i * lanes + lane, load(x + i * lanes + lane) * scales * weight[i]);
    }
}

// One head of one row, turned by the angles of its position.
INLINE void turned(const float* x, Size lanes, const float* cosines, const float* sines, Size d, float* y) {
    const Size half = d / 2;
    for (Size i = 0; i < half; i++) {
        const float low = x[i * lanes], high = x[(i + half) * lanes];
        y[i] = low * cosines[i] + high * sines[i];
        y[i + half] = high * cosines[i + half] + low * sines[i + half];
    }
}

template <class T> INLINE float dot(const float* q, const T* k, Size d) {
    float total;
    dots<1>(k, q, d, &total);
    return total;
}

// One query head of one row over all columns; the first head of a group also stores the new key and value.
template <class T>
INLINE void head(const Block& b, const Pass& p, const float* qkv, Size row, Size h, Size lanes, float* weights, float* z) {
    float q[MAX_HEAD], k[MAX_HEAD];
    const Size d = p.d_head, group = p.heads / p.kv_heads, g = h / group, now = p.filled;
    const float *cosines = p.cosines + row * d, *sines = p.sines + row * d;
    const Size place = (row * p.kv_heads + g) * p.columns * d;
    T *keys = static_cast<T*>(b.keys) + place, *values = static_cast<T*>(b.values) + place;
    turned(qkv + h * d * lanes, lanes, cosines, sines, d, q);
    turned(qkv + (p.heads + g) * d * lanes, lanes, cosines, sines, d, k);
    const float* v = qkv + (p.heads + p.kv_heads + g) * d * lanes;
    const uint8_t* seen = p.visible ? p.visible + row * (now + 1) : nullptr;
    const float scale = 1.0f / std::sqrt(float(d));
    float largest = weights[now] = dot(q, k, d) * scale;
    for (Size c = 0; c < now; c++) {
        weights[c] = seen && !seen[c] ? -INFINITY : dot(q, keys + c * d, d) * scale;
        largest = std::max(largest, weights[c]);
    }
    for (Size c = now + 1; c % WIDTH; c++) weights[c] = -INFINITY;
    Floats sums = {};
    for (Size c = 0; c <= now; c += WIDTH) {
        const Floats shifted = load(weights + c) - largest;
        const Floats powers = shifted < -80.0f ? Floats{} : exp(shifted);
        sums += powers;
        store(weights + c, powers);
    }
    const float total = 1.0f / sum(sums);
    for (Size first = 0; first < d; first += WIDTH) {
        const Size width = std::min(WIDTH, d - first);
        float mixed[WIDTH] = {};
        if (width == WIDTH) {
            Floats mix = {};
            for (Size c = 0; c < now; c++) mix += load(values + c * d + first) * weights[c];
            store(mixed, mix);
        } else {
            for (Size c = 0; c < now; c++)
                for (Size i = 0; i < width; i++) mixed[i] += weights[c] * single(values[c * d + first + i]);
        }
        for (Size i = 0; i < width; i++)
            z[(h * d + first + i) * lanes] = (mixed[i] + weights[now] * v[(first + i) * lanes]) * total;
    }
    if (h % group) return;
    for (Size i = 0; i < d; i++) put(keys + now * d + i, k[i]), put(values + now * d + i, v[i * lanes]);
}

struct Work {
    const Block* blocks;
    const Pass* pass;
    Size n_blocks, lanes, private_size;
    float *stream, *qkv, *z, *hidden, *private_space;
    Barrier barrier;
};

INLINE void attention(const Work& w, const Block& b, float* weights, int member, int size) {
    const Pass& p = *w.pass;
    const Size items = p.rows * p.heads;
    for (Size item = items * member / size; item < items * (member + 1) / size; item++) {
        const Size row = item / p.heads, h = item % p.heads;
        if (p.cache_kind == FLOAT32) head<float>(b, p, w.qkv + row, row, h, w.lanes, weights, w.z + row);
        else head<uint16_t>(b, p, w.qkv + row, row, h, w.lanes, weights, w.z + row);
    }
}

void run_blocks(Work& w, int member, int size) {
    const Size lanes = w.lanes;
    float* own = w.private_space + member * w.private_size;
    for (Size layer = 0; layer < w.n_blocks; layer++) {
        const Block& b = w.blocks[layer];
        rms_norm(w.stream, b.norm1, b.eps, w.pass->d_model, lanes, own);
        product(b.qkv, own, lanes, w.qkv, false, member, size);
        w.barrier.wait(size);
        attention(w, b, own, member, size);
        w.barrier.wait(size);
        product(b.out, w.z, lanes, w.stream, true, member, size);
        w.barrier.wait(size);
        rms_norm(w.stream, b.norm2, b.eps, w.pass->d_model, lanes, own);
        gated(b.gate_up, own, lanes, w.hidden, member, size);
        w.barrier.wait(size);
        product(b.down, w.hidden, lanes, w.stream, true, member, size);
        w.barrier.wait(size);
    }
}

struct Product {
    const Matrix* matrix;
    const float* x;
    float *y, *space;
    Size rows;
};

// The rows of one group are laid side by side by every member for itself, and its outputs put where they belong.
void run_product(Product& job, int member, int size) {
    const Matrix& m = *job.matrix;
    const Share mine = share(m.d_out, member, size);
    alignas(64) float fresh[TILE * LANES];
    for (Size row = 0; row < job.rows; row += LANES) {
        const Size n_rows = std::min(LANES, job.rows - row), lanes = n_rows == 1 ? 1 : LANES;
        float* x = job.space + member * m.d_in * LANES;
        for (Size k = 0; k < m.d_in; k++)
            for (Size lane = 0; lane < lanes; lane++)
                x[k * lanes + lane] = lane < n_rows ? job.x[(row + lane) * m.d_in + k] : 0.0f;
        for (Size first = mine.first; first < mine.end; first += TILE) {
            const Size n = std::min(TILE, mine.end - first);
            outputs(m, first, n, x, lanes, fresh);
            for (Size lane = 0; lane < n_rows; lane++)
                for (Size i = 0; i < n; i++) job.y[(row + lane) * m.d_out + first + i] = fresh[i * lanes + lane];
        }
    }
}

template <class Job, void (*RUN)(Job&, int, int)> void member_of(void* job) {
    RUN(*static_cast<Job*>(job), number_in_team(), size_of_team());
}

template <class Job, void (*RUN)(Job&, int, int)> void run(Job& job, int threads) {
    if (start_team && threads > 1) start_team(member_of<Job, RUN>, &job, threads, 0);
    else RUN(job, 0, 1);
}

// Room for `n` floats at a vector's boundary, kept by the calling thread.
float* room(Size n) {
    thread_local std::vector<float> kept;
    if (Size(kept.size()) < n + LANES) kept.resize(n + LANES);
    return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(kept.data()) + 63) & ~uintptr_t(63));
}

}  // namespace

extern "C" {

int glassbook_version() { return 2; }

void glassbook_use_team(void* start, void* number, void* size) {
    start_team = reinterpret_cast<decltype(start_team)>(start);
    number_in_team = reinterpret_cast<decltype(number_in_team)>(number);
    size_of_team = reinterpret_cast<decltype(size_of_team)>(size);
}

// y [rows, d_out] = x [rows, d_in] W^T + bias
void glassbook_product(const Matrix* matrix, const float* x, float* y, int64_t rows, int threads) {
    Product job{matrix, x, y, room(threads * matrix->d_in * LANES), rows};
    run<Product, run_product>(job, threads);
}

// The stream after `n_blocks` blocks, for one new token in each of at most sixteen rows.
void glassbook_blocks(const Block* blocks, int64_t n_blocks, const Pass* pass, int threads) {
    const Pass& p = *pass;
    const Size lanes = p.rows == 1 ? 1 : LANES, d = p.d_model;
    const Size qkv = (p.heads + 2 * p.kv_heads) * p.d_head, z = p.heads * p.d_head, hidden = blocks->down.d_in;
    Work w{blocks, pass, n_blocks, lanes};
    w.private_size = (std::max(d * lanes, p.filled + 1) / LANES + 2) * LANES;
    w.stream = room((d + qkv + z + hidden) * lanes + threads * w.private_size);
    w.qkv = w.stream + d * lanes;
    w.z = w.qkv + qkv * lanes;
    w.hidden = w.z + z * lanes;
    w.private_space = w.hidden + hidden * lanes;
    for (Size row = 0; row < lanes; row++)
        for (Size i = 0; i < d; i++) w.stream[i * lanes + row] = row < p.rows ? p.stream[row * d + i] : 0.0f;
    if (lanes > p.rows) std::fill(w.z, w.z + z * lanes, 0.0f);
    run<Work, run_blocks>(w, threads);
    for (Size row = 0; row < p.rows; row++)
        for (Size i = 0; i < d; i++) p.stream[row * d + i] = w.stream[i * lanes + row];
}
}
