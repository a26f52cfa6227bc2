// Which pre-activations are chosen: the k largest of each row, or all that are above their feature's floor. On the CPU, exact.
//
// What is read are products with the encoder; the bias is added on the way, which saves a pass over all of them.
// A row is read twice, while it is in the cache: once for a bound that at least k of its values reach, and once for those
// that reach it. Values are float32 or bfloat16; the file is compiled for several instruction sets, of which the loader takes one.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

namespace {

using Size = int64_t;
#if defined(__AVX512F__)
constexpr Size WIDTH = 16;  // floats in a vector
typedef __m512 Floats;
INLINE Floats load(const float* from) { return _mm512_loadu_ps(from); }
INLINE Floats load(const uint16_t* from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
INLINE Floats plus(Floats a, Floats b) { return _mm512_add_ps(a, b); }
INLINE Floats larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
INLINE void store(float* to, Floats value) { _mm512_storeu_ps(to, value); }
INLINE unsigned not_below(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ); }
INLINE unsigned above(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
INLINE Floats all(float value) { return _mm512_set1_ps(value); }
#elif defined(__AVX2__)
constexpr Size WIDTH = 8;
typedef __m256 Floats;
INLINE Floats load(const float* from) { return _mm256_loadu_ps(from); }
INLINE Floats load(const uint16_t* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
INLINE Floats plus(Floats a, Floats b) { return _mm256_add_ps(a, b); }
INLINE Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
INLINE void store(float* to, Floats value) { _mm256_storeu_ps(to, value); }
INLINE unsigned not_below(Floats a, Floats b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ)); }
INLINE unsigned above(Floats a, Floats b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)); }
INLINE Floats all(float value) { return _mm256_set1_ps(value); }
#else
constexpr Size WIDTH = 1;
typedef float Floats;
INLINE float load(const float* from) { return *from; }
INLINE float load(const uint16_t* from) {
    const uint32_t bits = uint32_t(*from) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}
INLINE float plus(float a, float b) { return a + b; }
INLINE float larger(float a, float b) { return a > b ? a : b; }
INLINE void store(float* to, float value) { *to = value; }
INLINE unsigned not_below(float a, float b) { return a >= b; }
INLINE unsigned above(float a, float b) { return a > b; }
INLINE float all(float value) { return value; }
#endif
INLINE float single(const float* from) { return *from; }
INLINE float single(const uint16_t* from) {
    const uint32_t bits = uint32_t(*from) << 16;
    float wide;
    std::memcpy(&wide, &bits, 4);
    return wide;
}

// A row of products and the bias that makes pre-activations of them.
template <class T> struct Row {
    const T* products;
    const float* bias;
    INLINE_MEMBER Floats many(Size i) const { return plus(load(products + i), load(bias + i)); }
    INLINE_MEMBER float one(Size i) const { return single(products + i) + bias[i]; }
};

struct Entry {
    float value;
    int32_t feature;
};

// The larger value first; of equal ones the first feature.
bool comes_before(const Entry& a, const Entry& b) {
    return a.value > b.value || (a.value == b.value && a.feature < b.feature);
}

struct Space {
    std::vector<float> maxima;
    std::vector<Entry> found;
};

// A bound that at least k values of the row reach: the k-th largest of the maxima of more than k parts of it.
template <class T> float bound_of(Row<T> row, Size n, Size k, Space& space) {
    const Size parts = (2 * k + WIDTH - 1) / WIDTH * WIDTH;
    if (n < 2 * parts) return -INFINITY;
    space.maxima.assign(parts, -INFINITY);
    float* maxima = space.maxima.data();
    Size i = 0;
    for (; i + parts <= n; i += parts)
        for (Size part = 0; part < parts; part += WIDTH)
            store(maxima + part, larger(load(maxima + part), row.many(i + part)));
    for (Size part = 0; i < n; i++, part++) maxima[part] = std::max(maxima[part], row.one(i));
    std::nth_element(maxima, maxima + (k - 1), maxima + parts, [](float a, float b) { return a > b; });
    return maxima[k - 1];
}

template <class T> void top_of_row(Row<T> row, Size n, Size k, int64_t* features, float* values, Space& space) {
    const float bound = bound_of(row, n, k, space);
    const Floats bounds = all(bound);
    space.found.clear();
    Size i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        for (unsigned left = not_below(row.many(i), bounds); left; left &= left - 1) {
            const Size at = i + __builtin_ctz(left);
            space.found.push_back({row.one(at), int32_t(at)});
        }
    for (; i < n; i++)
        if (row.one(i) >= bound) space.found.push_back({row.one(i), int32_t(i)});
    const Size kept = std::min<Size>(k, space.found.size());
    if (Size(space.found.size()) > k) {
        std::nth_element(space.found.begin(), space.found.begin() + k, space.found.end(), comes_before);
        std::sort(space.found.begin(), space.found.begin() + k, [](Entry a, Entry b) { return a.feature < b.feature; });
    }
    for (Size place = 0; place < k; place++) {
        // Fewer than k are found only in a row that is not a number somewhere; that must not be hidden.
        features[place] = place < kept ? space.found[place].feature : 0;
        values[place] = place < kept ? space.found[place].value : NAN;
    }
}

template <class T> Size count_above(Row<T> row, Size n, const float* floors) {
    Size count = 0, i = 0;
    for (; i + WIDTH <= n; i += WIDTH) count += __builtin_popcount(above(row.many(i), load(floors + i)));
    for (; i < n; i++) count += row.one(i) > floors[i];
    return count;
}

template <class T> void list_above(Row<T> row, Size n, const float* floors, int64_t* features, float* values) {
    Size i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        for (unsigned left = above(row.many(i), load(floors + i)); left; left &= left - 1) {
            const Size at = i + __builtin_ctz(left);
            *features++ = at, *values++ = row.one(at);
        }
    for (; i < n; i++)
        if (row.one(i) > floors[i]) *features++ = i, *values++ = row.one(i);
}

enum Asked : int32_t { TOP, COUNT, LIST };

}  // namespace

extern "C" {

struct Selection {
    const void* products;    // [rows, n], float32 or bfloat16
    const float* bias;       // [n]
    const float* floors;     // [n], for what is above them
    const int64_t* starts;   // [rows], where each row's entries begin in the lists
    int64_t* counts;         // [rows], how many are above
    int64_t* features;
    float* values;
    int64_t rows, n, k;
    int32_t asked, is_bfloat16;
};
}

namespace {

// The team of threads is torch's own: a second one would fight the first for the cores.
using Body = void (*)(void*);
void (*start_team)(Body, void*, unsigned, unsigned) = nullptr;
int (*number_in_team)() = nullptr;
int (*size_of_team)() = nullptr;

template <class T> void select_rows(const Selection& s, Size first, Size stop) {
    Space space;
    for (Size i = first; i < stop; i++) {
        const Row<T> row{static_cast<const T*>(s.products) + i * s.n, s.bias};
        if (s.asked == TOP) top_of_row(row, s.n, s.k, s.features + i * s.k, s.values + i * s.k, space);
        else if (s.asked == COUNT) s.counts[i] = count_above(row, s.n, s.floors);
        else list_above(row, s.n, s.floors, s.features + s.starts[i], s.values + s.starts[i]);
    }
}

void select_share(const Selection& s, int member, int size) {
    const Size first = s.rows * member / size, stop = s.rows * (member + 1) / size;
    if (s.is_bfloat16) select_rows<uint16_t>(s, first, stop);
    else select_rows<float>(s, first, stop);
}

void member_of(void* job) { select_share(*static_cast<Selection*>(job), number_in_team(), size_of_team()); }

}  // namespace

extern "C" {

int glassbook_version() { return 1; }

void glassbook_use_team(void* start, void* number, void* size) {
    start_team = reinterpret_cast<decltype(start_team)>(start);
    number_in_team = reinterpret_cast<decltype(number_in_team)>(number);
    size_of_team = reinterpret_cast<decltype(size_of_team)>(size);
}

void glassbook_select(Selection* selection, int threads) {
    if (start_team && threads > 1) start_team(member_of, selection, threads, 0);
    else select_share(*selection, 0, 1);
}
}
