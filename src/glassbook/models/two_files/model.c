/* A transformer language model in one file of C: give it a prompt, and it writes on.

       cc -O3 model.c -lm -o model
       ./model parameters.bin 20 12 7 99              20 more tokens after these three
       ./model parameters.bin 20 --text "Once upon"   the same with text, where the parameters hold a tokenizer

   What a model has learned is a long row of numbers, and those are parameters.bin. What it does with them is this file,
   and there is nothing else: no library, no hidden step. It runs GPT-2 (Radford et al. 2019) and Llama (Touvron et al.
   2023). The two differ in four places, each marked with both names: where a position enters, what a norm subtracts,
   what an MLP multiplies, and which maps have a bias.

   To read it in one sitting:
       1. the parameters    how the row of numbers is opened, checked and cut into matrices
       2. arithmetic        dot product, linear map, norm, softmax: all the mathematics there is
       3. the network       one token in, a score for every possible next token out
       4. text              bytes to tokens and back
       5. main              read the prompt, then choose, print and read, again and again
*/

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whatever cannot be done ends the program with one sentence and the status 2. */
static _Noreturn void refuse(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fflush(stdout);
    fputs("model: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(2);
}

/* ---------------------------------------------------------------------------------------------------------------------
   1. The parameters

   The file begins with a header of fixed size. Behind it lie the tables of the tokenizer, then, at `weights_at`, every
   weight as a 32-bit float, in the order in which the network meets them. All numbers are little-endian. */

enum { GPT2 = 1, LLAMA = 2 };
enum { GELU_TANH, GELU, RELU, SILU };
enum { NO_TOKENIZER, CHARACTERS, BYTE_PAIRS };
enum { LARGEST = 1 << 20, MOST_LAYERS = 1 << 12, MOST_STOPS = 8, NONE = -1 };

typedef struct {
    char magic[8];
    int32_t architecture, activation;
    int32_t n_layers;    /* how many blocks the network has */
    int32_t d_model;     /* how wide the residual stream is */
    int32_t n_heads;     /* how many heads look for something in each block */
    int32_t n_kv_heads;  /* how many heads they look at; in Llama several may share one (grouped-query attention) */
    int32_t d_head;      /* how wide a head is */
    int32_t d_mlp;       /* how many neurons a block has */
    int32_t d_vocab;     /* how many tokens there are */
    int32_t n_ctx;       /* how many tokens the network can read */
    int32_t is_tied;     /* whether the embedding also scores the next token */
    int32_t has_qkv_bias;
    float norm_eps;      /* keeps a norm from dividing by zero */
    float angle_scale;   /* Llama: what cosines and sines are multiplied by, nearly always 1 */
    int32_t first_token; /* what is put before every text, or NONE */
    int32_t n_stops, stops[MOST_STOPS]; /* the tokens that end a text */
    int32_t tokenizer, n_tokens, n_merges, n_ranges;
    uint64_t weights_at, file_bytes;
    uint64_t checksum;   /* of everything before the weights but itself */
} Header;

/* A linear map, or the scale and shift of a norm; `bias` is NULL where there is none. */
typedef struct {
    const float *weight, *bias;
} Map;

typedef struct {
    Map norm1, qkv, out, norm2, up, down;
} Block;

/* Two neighboring tokens that are joined into one; the lowest rank was learned first and is joined first. */
typedef struct {
    int32_t left, right, rank, joined;
} Merge;

/* Letters, numbers and white space as ranges of Unicode; what is in no range is another sign. */
enum { OTHER, LETTER, NUMBER, SPACE };
typedef struct {
    int32_t first, last, kind;
} Range;

typedef struct {
    const unsigned char *file;
    Header size;

    /* What the network has learned, all of it pointers into the file. */
    const float *embedding, *positions, *frequencies, *unembedding;
    Map norm_final;
    Block *blocks;

    /* What it thinks while it reads: one row for the newest token, and keys and values for every token so far. */
    float *stream, *normed, *qkv, *mixed, *hidden, *scores, *logits;
    float *keys, *values;
    int n_columns;

    /* What its tokenizer knows. */
    const Range *ranges;
    const Merge *merges;
    const uint32_t *token_ends;
    const unsigned char *token_bytes;
} Model;

/* FNV-1a: a few lines of arithmetic that a damaged byte does not survive. */
static uint64_t checksum_of(uint64_t sum, const unsigned char *bytes, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

/* The next piece of the file; a piece that would leave the file means that the sizes in the header are wrong. */
static const void *take(const Model *m, uint64_t *at, uint64_t end, uint64_t n, uint64_t bytes_each) {
    if (n * bytes_each > end - *at) refuse("the parameters end too early for their sizes; export the model again");
    const void *piece = m->file + *at;
    *at += n * bytes_each;
    return piece;
}

static const float *take_floats(const Model *m, uint64_t *at, uint64_t n_rows, uint64_t n_columns) {
    return take(m, at, m->size.file_bytes, n_rows * n_columns, sizeof(float));
}

static Map take_map(const Model *m, uint64_t *at, int n_out, int n_in, int has_bias) {
    Map map = {take_floats(m, at, n_out, n_in), NULL};
    if (has_bias) map.bias = take_floats(m, at, n_out, 1);
    return map;
}

static void check_sizes(const Header *h, const char *path) {
    const int32_t sizes[] = {h->n_layers, h->d_model, h->n_heads, h->n_kv_heads,
                             h->d_head,   h->d_mlp,   h->d_vocab, h->n_ctx};
    int sound = h->architecture == GPT2 || h->architecture == LLAMA;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) sound = sound && sizes[i] >= 1 && sizes[i] <= LARGEST;
    sound = sound && h->n_layers <= MOST_LAYERS && h->n_heads <= LARGEST / h->d_head && h->n_heads % h->n_kv_heads == 0;
    sound = sound && h->activation >= GELU_TANH && h->activation <= SILU && h->n_stops >= 0 && h->n_stops <= MOST_STOPS;
    sound = sound && h->tokenizer >= NO_TOKENIZER && h->tokenizer <= BYTE_PAIRS;
    sound = sound && h->first_token >= NONE && h->first_token < h->d_vocab;
    sound = sound && (h->architecture == GPT2 || h->d_head % 2 == 0);
    sound = sound && h->n_tokens >= 0 && h->n_tokens <= h->d_vocab && h->n_merges >= 0 && h->n_ranges >= 0;
    if (!sound) refuse("'%s' has sizes that no network can have; export the model again", path);
}

/* Nothing is copied: the file is mapped into memory, and the system reads a page of it when it is first touched. */
static void open_file(Model *m, const char *path) {
    int descriptor = open(path, O_RDONLY);
    if (descriptor < 0) refuse("'%s' cannot be opened (%s); give the path of parameters.bin", path, strerror(errno));
    struct stat found;
    if (fstat(descriptor, &found) < 0 || !S_ISREG(found.st_mode)) refuse("'%s' is no file; give parameters.bin", path);
    uint64_t n_bytes = (uint64_t)found.st_size;
    if (n_bytes < sizeof(Header)) refuse("'%s' is too short to hold parameters; export the model again", path);
    m->file = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (m->file == MAP_FAILED) refuse("'%s' cannot be mapped into memory (%s); free some", path, strerror(errno));
    close(descriptor);

    Header *h = &m->size;
    memcpy(h, m->file, sizeof *h);
    if (memcmp(h->magic, "glassbk1", 8) != 0) refuse("'%s' does not hold parameters of this program; export them", path);
    if (h->file_bytes != n_bytes)
        refuse("'%s' has %llu bytes of %llu; copy or export it again", path, (unsigned long long)n_bytes,
               (unsigned long long)h->file_bytes);
    if (h->weights_at < sizeof *h || h->weights_at > n_bytes || h->weights_at % sizeof(float) != 0)
        refuse("'%s' has a damaged header; export the model again", path);
    uint64_t sum = checksum_of(0xcbf29ce484222325u, m->file, offsetof(Header, checksum));
    sum = checksum_of(sum, m->file + sizeof *h, h->weights_at - sizeof *h);
    if (sum != h->checksum) refuse("'%s' has a damaged header; export the model again", path);
    check_sizes(h, path);
}

static void open_parameters(Model *m, const char *path) {
    open_file(m, path);
    const Header *h = &m->size;
    const int is_gpt2 = h->architecture == GPT2, n_qkv = (h->n_heads + 2 * h->n_kv_heads) * h->d_head;
    uint64_t at = sizeof *h;
    m->ranges = take(m, &at, h->weights_at, h->n_ranges, sizeof(Range));
    m->merges = take(m, &at, h->weights_at, h->n_merges, sizeof(Merge));
    m->token_ends = take(m, &at, h->weights_at, h->n_tokens, sizeof(uint32_t));
    m->token_bytes = take(m, &at, h->weights_at, h->n_tokens ? m->token_ends[h->n_tokens - 1] : 0, 1);

    at = h->weights_at;
    m->embedding = take_floats(m, &at, h->d_vocab, h->d_model);
    /* GPT-2 learns a row for each position; Llama turns its heads, each pair of numbers at a frequency of its own. */
    if (is_gpt2) m->positions = take_floats(m, &at, h->n_ctx, h->d_model);
    else m->frequencies = take_floats(m, &at, h->d_head / 2, 1);
    m->blocks = calloc(h->n_layers, sizeof(Block));
    if (!m->blocks) refuse("there is no memory for %d blocks; free some", h->n_layers);
    for (Block *b = m->blocks; b < m->blocks + h->n_layers; b++) {
        b->norm1 = take_map(m, &at, h->d_model, 1, is_gpt2);
        b->qkv = take_map(m, &at, n_qkv, h->d_model, h->has_qkv_bias);
        b->out = take_map(m, &at, h->d_model, h->n_heads * h->d_head, is_gpt2);
        b->norm2 = take_map(m, &at, h->d_model, 1, is_gpt2);
        b->up = take_map(m, &at, is_gpt2 ? h->d_mlp : 2 * h->d_mlp, h->d_model, is_gpt2);
        b->down = take_map(m, &at, h->d_model, h->d_mlp, is_gpt2);
    }
    m->norm_final = take_map(m, &at, h->d_model, 1, is_gpt2);
    m->unembedding = h->is_tied ? m->embedding : take_floats(m, &at, h->d_vocab, h->d_model);
    if (at != h->file_bytes) refuse("'%s' is longer than its sizes say; export the model again", path);
}

/* Room for all that is computed, for a text of `n_columns` tokens. */
static void make_room(Model *m, int n_columns) {
    const Header *h = &m->size;
    const size_t heads = (size_t)(h->n_heads + 2 * h->n_kv_heads) * h->d_head;
    const size_t cached = (size_t)h->n_layers * n_columns * h->n_kv_heads * h->d_head;
    const size_t lengths[] = {h->d_model, h->d_model, heads,  (size_t)h->n_heads * h->d_head, 2 * (size_t)h->d_mlp,
                              n_columns,  h->d_vocab, cached, cached};
    float **rows[] = {&m->stream, &m->normed, &m->qkv,  &m->mixed, &m->hidden,
                      &m->scores, &m->logits, &m->keys, &m->values};
    m->n_columns = n_columns;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *rows[i] = calloc(lengths[i], sizeof(float));
        if (!*rows[i]) refuse("there is no memory for %d tokens; ask for fewer", n_columns);
    }
}

static void close_model(Model *m) {
    float *rows[] = {m->stream, m->normed, m->qkv, m->mixed, m->hidden, m->scores, m->logits, m->keys, m->values};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) free(rows[i]);
    free(m->blocks);
    munmap((void *)m->file, m->size.file_bytes);
}

/* ---------------------------------------------------------------------------------------------------------------------
   2. Arithmetic */

/* How well two directions agree. Sixteen sums side by side let the compiler use the wide registers of the processor. */
static float dot(const float *a, const float *b, int n) {
    float sums[16] = {0}, total = 0;
    int i = 0;
    for (; i + 16 <= n; i += 16)
        for (int lane = 0; lane < 16; lane++) sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++) total += a[i] * b[i];
    for (int lane = 0; lane < 16; lane++) total += sums[lane];
    return total;
}

/* y = W x + b. Nearly all time is spent here, and nearly all of that waiting for W to arrive from memory. */
static void linear(float *y, const float *x, Map map, int n_out, int n_in) {
    for (int row = 0; row < n_out; row++)
        y[row] = dot(map.weight + (size_t)row * n_in, x, n_in) + (map.bias ? map.bias[row] : 0);
}

/* Bring a row to a standard size, so that a block reads it whatever was added to the stream before.
   GPT-2: subtract the mean, divide by the standard deviation (layer norm). Llama: only divide, by the root mean square. */
static void norm(const Model *m, float *y, const float *x, Map map) {
    const int n = m->size.d_model;
    float mean = 0, squares = 0;
    if (m->size.architecture == GPT2) {
        for (int i = 0; i < n; i++) mean += x[i];
        mean /= n;
    }
    for (int i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    const float scale = 1 / sqrtf(squares / n + m->size.norm_eps);
    for (int i = 0; i < n; i++) y[i] = (x[i] - mean) * scale * map.weight[i] + (map.bias ? map.bias[i] : 0);
}

/* Scores to shares that add up to one. Taking off the largest score changes nothing but keeps exp from overflowing. */
static void softmax(float *scores, int n) {
    float largest = scores[0], total = 0;
    for (int i = 1; i < n; i++) largest = fmaxf(largest, scores[i]);
    for (int i = 0; i < n; i++) total += scores[i] = expf(scores[i] - largest);
    for (int i = 0; i < n; i++) scores[i] /= total;
}

/* How strongly a neuron fires: hardly below zero, ever more above it. */
static float activate(float x, int activation) {
    switch (activation) {
        case GELU_TANH: return 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
        case GELU: return 0.5f * x * (1 + erff(x * 0.7071067812f));
        case RELU: return x > 0 ? x : 0;
        default: return x / (1 + expf(-x));  /* SiLU */
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
   3. The network

   A token becomes a row of d_model numbers, the residual stream. Each block reads the stream and adds to it twice: its
   attention brings in what earlier tokens know, its MLP works on what has come together. At the end the stream is
   compared with the row of every token, and the best match is the likeliest to come next.

   Tokens are read one at a time. A token never looks ahead, so what earlier tokens have to offer, their keys and values,
   never changes and is kept: the KV cache. */

/* Llama's positions (Su et al. 2021): turn the two numbers of each pair like the hand of a clock, by an angle that grows
   with the position. The dot product of two heads that were turned knows only how far apart they stand. */
static void rotate(const Model *m, float *head, int position) {
    const int half = m->size.d_head / 2;
    for (int i = 0; i < half; i++) {
        const float angle = position * m->frequencies[i];
        const float cosine = cosf(angle) * m->size.angle_scale, sine = sinf(angle) * m->size.angle_scale;
        const float a = head[i], b = head[i + half];
        head[i] = a * cosine - b * sine;
        head[i + half] = b * cosine + a * sine;
    }
}

/* Every head asks with its query, compares it with the keys of all tokens so far, and takes the mix of their values. */
static void attend(Model *m, int layer, int position) {
    const Header *h = &m->size;
    const int d = h->d_head, row = h->n_kv_heads * d, n_sharing = h->n_heads / h->n_kv_heads;
    const size_t first = (size_t)layer * m->n_columns * row;
    float *keys = m->keys + first, *values = m->values + first;
    float *queries = m->qkv, *new_keys = queries + h->n_heads * d, *new_values = new_keys + row;
    if (h->architecture == LLAMA)
        for (int head = 0; head < h->n_heads + h->n_kv_heads; head++) rotate(m, m->qkv + head * d, position);
    memcpy(keys + (size_t)position * row, new_keys, row * sizeof(float));
    memcpy(values + (size_t)position * row, new_values, row * sizeof(float));

    for (int head = 0; head < h->n_heads; head++) {
        const int from = head / n_sharing * d;
        for (int t = 0; t <= position; t++)
            m->scores[t] = dot(queries + head * d, keys + (size_t)t * row + from, d) / sqrtf(d);
        softmax(m->scores, position + 1);
        float *mix = m->mixed + head * d;
        memset(mix, 0, d * sizeof(float));
        for (int t = 0; t <= position; t++)
            for (int i = 0; i < d; i++) mix[i] += m->scores[t] * values[(size_t)t * row + from + i];
    }
}

/* The neurons: each looks for one direction of the stream (a row of `up`) and, as far as it fires, writes another.
   GPT-2: a neuron fires by what it finds. Llama: what one row finds opens the gate for what a second row finds (SwiGLU). */
static void fire(Model *m, const Block *b) {
    const Header *h = &m->size;
    const int is_gated = h->architecture == LLAMA;
    linear(m->hidden, m->normed, b->up, is_gated ? 2 * h->d_mlp : h->d_mlp, h->d_model);
    for (int i = 0; i < h->d_mlp; i++) {
        m->hidden[i] = activate(m->hidden[i], h->activation);
        if (is_gated) m->hidden[i] *= m->hidden[h->d_mlp + i];
    }
}

static void add_to_stream(Model *m, Map map, const float *x, int n_in) {
    linear(m->normed, x, map, m->size.d_model, n_in);
    for (int i = 0; i < m->size.d_model; i++) m->stream[i] += m->normed[i];
}

/* Take one token through the whole network; what it leaves in the stream is scored by `score_next`. */
static void read_token(Model *m, int token, int position) {
    const Header *h = &m->size;
    memcpy(m->stream, m->embedding + (size_t)token * h->d_model, h->d_model * sizeof(float));
    if (h->architecture == GPT2)
        for (int i = 0; i < h->d_model; i++) m->stream[i] += m->positions[(size_t)position * h->d_model + i];

    for (int layer = 0; layer < h->n_layers; layer++) {
        const Block *b = &m->blocks[layer];
        norm(m, m->normed, m->stream, b->norm1);
        linear(m->qkv, m->normed, b->qkv, (h->n_heads + 2 * h->n_kv_heads) * h->d_head, h->d_model);
        attend(m, layer, position);
        add_to_stream(m, b->out, m->mixed, h->n_heads * h->d_head);

        norm(m, m->normed, m->stream, b->norm2);
        fire(m, b);
        add_to_stream(m, b->down, m->hidden, h->d_mlp);
    }
}

/* The token that comes next if the likeliest always does: greedy decoding. */
static int best_next(Model *m) {
    const Map unembed = {m->unembedding, NULL};
    norm(m, m->normed, m->stream, m->norm_final);
    linear(m->logits, m->normed, unembed, m->size.d_vocab, m->size.d_model);
    int best = 0;
    for (int token = 1; token < m->size.d_vocab; token++)
        if (m->logits[token] > m->logits[best]) best = token;
    return best;
}

/* ---------------------------------------------------------------------------------------------------------------------
   4. Text

   A network knows no letters, only tokens. The simplest tokenizer gives every character a token. Byte-pair encoding
   (Sennrich et al. 2016) cuts a text into words, begins with their bytes, and joins neighbors that often stood together. */

static const unsigned char *bytes_of(const Model *m, int token, int *n) {
    const uint32_t start = token ? m->token_ends[token - 1] : 0, end = m->token_ends[token];
    *n = (int)(end - start);
    return m->token_bytes + start;
}

static void check_tokenizer(const Model *m) {
    const Header *h = &m->size;
    int sound = 1;
    for (int i = 1; i < h->n_tokens; i++) sound = sound && m->token_ends[i] >= m->token_ends[i - 1];
    for (const Merge *one = m->merges; one < m->merges + h->n_merges; one++)
        sound = sound && one->joined >= 0 && one->joined < h->n_tokens;
    if (!sound) refuse("the tokenizer in the parameters is damaged; export the model again");
}

static int token_of(const Model *m, const unsigned char *bytes, int n) {
    for (int token = 0; token < m->size.n_tokens; token++) {
        int length;
        const unsigned char *known = bytes_of(m, token, &length);
        if (length == n && memcmp(known, bytes, n) == 0) return token;
    }
    return NONE;
}

/* The character that begins at `text`, and in `n` how many bytes UTF-8 spells it with. */
static int32_t character_at(const unsigned char *text, int *n) {
    const int first = text[0];
    *n = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (*n == 0) refuse("the text is not UTF-8; convert it and try again");
    int32_t found = *n == 1 ? first : first & (0x7F >> *n);
    for (int i = 1; i < *n; i++) {
        if ((text[i] & 0xC0) != 0x80) refuse("the text is not UTF-8; convert it and try again");
        found = found << 6 | (text[i] & 0x3F);
    }
    return found;
}

/* Whether a letter, a number, white space or another sign begins at `text`; at the end of the text, NONE. */
static int kind_at(const Model *m, const unsigned char *text, int *n) {
    if (!*text) return *n = 0, NONE;
    const int32_t character = character_at(text, n);
    int low = 0, high = m->size.n_ranges;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (m->ranges[middle].last < character) low = middle + 1;
        else high = middle;
    }
    return low < m->size.n_ranges && m->ranges[low].first <= character ? m->ranges[low].kind : OTHER;
}

static const unsigned char *end_of_run(const Model *m, const unsigned char *text, int kind) {
    int n;
    while (kind_at(m, text, &n) == kind) text += n;
    return text;
}

/* Where GPT-2 cuts the next word off: the ending of a contraction; else letters, numbers or other signs, each with one
   blank before them; else white space, of which the last is left to the word that follows. */
static const unsigned char *end_of_word(const Model *m, const unsigned char *text) {
    static const char *endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strncmp((const char *)text, endings[i], strlen(endings[i])) == 0) return text + strlen(endings[i]);
    const unsigned char *start = text + (*text == ' ');
    int n;
    const int kind = kind_at(m, start, &n);
    if (kind != SPACE && kind != NONE) return end_of_run(m, start, kind);
    const unsigned char *end = end_of_run(m, text, SPACE), *last = text;
    if (!*end) return end;
    while (kind_at(m, last, &n), last + n < end) last += n;
    return last > text ? last : end;
}

static int by_pair(const void *one, const void *other) {
    const Merge *a = one, *b = other;
    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    return a->right < b->right ? -1 : a->right > b->right;
}

/* Join the pair that was learned first, and the next, until no two neighbors are a pair; return how many are left. */
static int join_pairs(const Model *m, int32_t *tokens, int n) {
    for (;;) {
        const Merge *best = NULL;
        int at = 0;
        for (int i = 0; i + 1 < n; i++) {
            const Merge pair = {tokens[i], tokens[i + 1], 0, 0};
            const Merge *found = bsearch(&pair, m->merges, m->size.n_merges, sizeof pair, by_pair);
            if (found && (!best || found->rank < best->rank)) best = found, at = i;
        }
        if (!best) return n;
        tokens[at] = best->joined;
        memmove(tokens + at + 1, tokens + at + 2, (n - at - 2) * sizeof *tokens);
        n--;
    }
}

/* Write the tokens of a text, at most one for each of its bytes and one before them, and return how many there are. */
static int encode(const Model *m, const char *text, int32_t *tokens) {
    if (m->size.tokenizer == NO_TOKENIZER) refuse("these parameters come without a tokenizer; give token ids");
    check_tokenizer(m);
    int n_tokens = 0, n;
    if (m->size.first_token != NONE) tokens[n_tokens++] = m->size.first_token;
    for (const unsigned char *at = (const unsigned char *)text, *end; *at; at = end) {
        if (m->size.tokenizer == CHARACTERS) {
            character_at(at, &n);
            end = at + n;
            tokens[n_tokens] = token_of(m, at, n);
            if (tokens[n_tokens++] == NONE) refuse("the model never met '%.*s'; leave it out", n, (const char *)at);
            continue;
        }
        end = end_of_word(m, at);
        int32_t *word = tokens + n_tokens;
        for (int i = 0; i < end - at; i++) {
            word[i] = token_of(m, at + i, 1);
            if (word[i] == NONE) refuse("the vocabulary lacks the byte %d; export the model again", at[i]);
        }
        n_tokens += join_pairs(m, word, (int)(end - at));
    }
    return n_tokens;
}

/* ---------------------------------------------------------------------------------------------------------------------
   5. main */

static int whole_number(const char *text, const char *what, int lowest, int highest) {
    char *end;
    errno = 0;
    const long number = strtol(text, &end, 10);
    if (end == text || *end) refuse("%s is '%s'; give a whole number", what, text);
    if (errno || number < lowest || number > highest)
        refuse("%s is %s; give one from %d to %d", what, text, lowest, highest);
    return (int)number;
}

static int is_stop(const Model *m, int token) {
    for (int i = 0; i < m->size.n_stops; i++)
        if (m->size.stops[i] == token) return 1;
    return 0;
}

static void print_token(const Model *m, int token, int as_text, int is_first) {
    int n = 0;
    if (!as_text) printf(is_first ? "%d" : " %d", token);
    else if (token < m->size.n_tokens) {
        const unsigned char *bytes = bytes_of(m, token, &n);
        fwrite(bytes, 1, n, stdout);
    }
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc < 4) refuse("usage: model parameters.bin HOW_MANY TOKEN... or model parameters.bin HOW_MANY --text TEXT");
    Model model = {0}, *m = &model;
    open_parameters(m, argv[1]);
    const int how_many = whole_number(argv[2], "HOW_MANY", 1, m->size.n_ctx);

    const int as_text = strcmp(argv[3], "--text") == 0;
    if (as_text && argc != 5) refuse("--text takes one text; put it in quotation marks");
    const size_t most = as_text ? strlen(argv[4]) + 1 : (size_t)argc - 3;
    int32_t *prompt = calloc(most, sizeof *prompt);
    if (!prompt || most > INT32_MAX) refuse("there is no memory for a prompt of %zu tokens; shorten it", most);
    const int n_prompt = as_text ? encode(m, argv[4], prompt) : argc - 3;
    for (int i = 0; !as_text && i < n_prompt; i++)
        prompt[i] = whole_number(argv[3 + i], "a token", 0, m->size.d_vocab - 1);
    if (n_prompt == 0) refuse("the prompt is empty; give at least one token");
    if (n_prompt > m->size.n_ctx - how_many)
        refuse("%d tokens of prompt and %d new ones exceed the context of %d; ask for less", n_prompt, how_many,
               m->size.n_ctx);

    make_room(m, n_prompt + how_many);
    for (int i = 0; i < n_prompt; i++) read_token(m, prompt[i], i);
    for (int i = 0; i < how_many; i++) {
        const int token = best_next(m);
        if (is_stop(m, token)) break;
        print_token(m, token, as_text, i == 0);
        if (i + 1 < how_many) read_token(m, token, n_prompt + i);
    }
    putchar('\n');
    free(prompt);
    close_model(m);
    return 0;
}
