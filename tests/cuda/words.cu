/* SPDX-License-Identifier: Apache-2.0 */
/*
 * words: numbers of four and eight bytes that the host writes one behind the other, to the same
 * place and to many, to allocations and to a module's variables, on streams and between kernels
 * that read them. Each kernel must see what was written before it, and nothing of what came after.
 */
#include "check.h"

enum { WORDS = 500, TURNS = 300 };

__device__ unsigned variable[4];

__global__ void mix(unsigned long long *value, const unsigned *word)
{
    *value = *value * 31 + *word;
}

__global__ void mix_variable(unsigned long long *value)
{
    for (int i = 0; i < 4; i++)
        *value = *value * 31 + variable[i];
}

static void many_places(unsigned *words, unsigned long long *longs)
{
    static unsigned short_back[WORDS];
    static unsigned long long long_back[WORDS];
    bool right = true;

    for (unsigned i = 0; i < WORDS; i++) {
        unsigned long long wide = (i + 1) * UINT64_C(0x100000003);
        unsigned narrow = i * 2654435761u;

        CHECK(cudaMemcpy(words + i, &narrow, sizeof(narrow), cudaMemcpyHostToDevice));
        CHECK(cudaMemcpy(longs + i, &wide, sizeof(wide), cudaMemcpyHostToDevice));
    }
    CHECK(cudaMemcpy(short_back, words, sizeof(short_back), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(long_back, longs, sizeof(long_back), cudaMemcpyDeviceToHost));
    for (unsigned i = 0; i < WORDS; i++)
        right = right && short_back[i] == i * 2654435761u &&
                long_back[i] == (i + 1) * UINT64_C(0x100000003);
    expect("many places", right);
}

static void one_place(unsigned *word)
{
    unsigned back = 0;

    for (unsigned i = 0; i < WORDS; i++)
        CHECK(cudaMemcpy(word, &i, sizeof(i), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(&back, word, sizeof(back), cudaMemcpyDeviceToHost));
    expect("one place, the last of many", back == WORDS - 1);
    for (unsigned i = 0; i < TURNS; i++) {
        CHECK(cudaMemcpy(word, &i, sizeof(i), cudaMemcpyHostToDevice));
        CHECK(cudaMemcpy(&back, word, sizeof(back), cudaMemcpyDeviceToHost));
        if (back != i)
            expect("written and read", false);
    }
}

static void between_kernels(unsigned *word, unsigned long long *value, cudaStream_t stream,
                            const char *what)
{
    unsigned long long expected = 7, back = 0;

    CHECK(cudaMemcpyAsync(value, &expected, sizeof(expected), cudaMemcpyHostToDevice, stream));
    for (unsigned i = 0; i < TURNS; i++) {
        for (unsigned k = 0; k <= i % 5; k++) {
            unsigned number = i * 5 + k;

            CHECK(cudaMemcpyAsync(word, &number, sizeof(number), cudaMemcpyHostToDevice, stream));
            if (k == i % 5)
                expected = expected * 31 + number;
        }
        mix<<<1, 1, 0, stream>>>(value, word);
        CHECK_LAUNCH();
    }
    CHECK(cudaMemcpyAsync(&back, value, sizeof(back), cudaMemcpyDeviceToHost, stream));
    CHECK(cudaStreamSynchronize(stream));
    expect(what, back == expected);
}

/* Words for two streams in turns; and bytes that are no word between words. */
static void in_turns(unsigned *words, cudaStream_t first, cudaStream_t second)
{
    unsigned char bytes[3] = {1, 2, 3};
    unsigned back[8];
    bool right = true;

    for (unsigned i = 0; i < TURNS; i++) {
        for (unsigned k = 0; k < 4; k++) {
            unsigned number = i * 16 + k;

            CHECK(cudaMemcpyAsync(words + k, &number, 4, cudaMemcpyHostToDevice,
                                  k % 2 ? first : second));
        }
        CHECK(cudaMemcpyAsync(words + 1, bytes, sizeof(bytes), cudaMemcpyHostToDevice, first));
        CHECK(cudaMemcpyAsync(words + 4, &i, 4, cudaMemcpyHostToDevice, first));
    }
    CHECK(cudaStreamSynchronize(first));
    CHECK(cudaStreamSynchronize(second));
    CHECK(cudaMemcpy(back, words, sizeof(back), cudaMemcpyDeviceToHost));
    unsigned last = (TURNS - 1) * 16;
    right = back[0] == last && back[2] == last + 2 && back[3] == last + 3 && back[4] == TURNS - 1 &&
            back[1] == (((last + 1) & 0xff000000u) | 0x030201u);
    expect("two streams in turns", right);
}

static void of_a_module(unsigned *word, unsigned long long *value)
{
    unsigned long long expected = 7, back = 0;
    unsigned now[4] = {0, 0, 0, 0};

    CHECK(cudaMemcpyToSymbol(variable, now, sizeof(now)));
    CHECK(cudaMemcpy(value, &expected, sizeof(expected), cudaMemcpyHostToDevice));
    for (unsigned i = 0; i < TURNS; i++) {
        now[i % 4] = i * i;
        CHECK(cudaMemcpy(word, &i, sizeof(i), cudaMemcpyHostToDevice));
        CHECK(cudaMemcpyToSymbol(variable, &now[i % 4], 4, i % 4 * 4));
        CHECK(cudaMemcpy(word, &i, sizeof(i), cudaMemcpyHostToDevice));
        mix_variable<<<1, 1>>>(value);
        CHECK_LAUNCH();
        for (int k = 0; k < 4; k++)
            expected = expected * 31 + now[k];
    }
    CHECK(cudaMemcpy(&back, value, sizeof(back), cudaMemcpyDeviceToHost));
    expect("a module's variables", back == expected);
}

int main()
{
    cudaStream_t first, second;
    unsigned *words;
    unsigned long long *longs;

    CHECK(cudaStreamCreate(&first));
    CHECK(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    CHECK(cudaMalloc(&words, WORDS * sizeof(*words)));
    CHECK(cudaMalloc(&longs, WORDS * sizeof(*longs)));
    many_places(words, longs);
    one_place(words + 3);
    between_kernels(words, longs, nullptr, "between kernels");
    between_kernels(words, longs, second, "between kernels of a stream");
    CHECK(cudaMemset(words, 0, WORDS * sizeof(*words)));
    in_turns(words, first, second);
    of_a_module(words, longs);
    /* Written, then gone at once. */
    for (unsigned i = 0; i < 100; i++)
        CHECK(cudaMemcpyAsync(words, &i, sizeof(i), cudaMemcpyHostToDevice, second));
    CHECK(cudaStreamDestroy(second));
    CHECK(cudaFree(words));
    CHECK(cudaFree(longs));
    CHECK(cudaDeviceReset());
    expect("gone", true);
    return verdict();
}
