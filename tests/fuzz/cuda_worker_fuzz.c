/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the worker as a hostile CUDA client would: an input is a sequence of messages, carried out
 * by the dispatcher, the thunks and the CUDA backend, over the fake driver. A fault ends the
 * session, as in life. With FUZZ_CUDA_SEEDS=FOLDER in the environment it writes seeds there and
 * ends.
 */
#include "cuda_fake.h"
#include "generate.h"

#include "backend/cuda/backend.h"
#include "base/log.h"
#include "channel/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA        (128u << 10)
#define MOST_SCRATCH ((size_t)8 << 20)
#define MOST_SEED    8192u
#define SHARED       0x200000000000 /* where these clients ask to have the arena */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static const void *const *thunks(void)
{
    return (const void *const *)(const void *)wh_cuda_thunks;
}

/* ---- a worker over the fake ---- */

static struct {
    struct wh_memory memory;
    struct wh_channel_ops ops;
    struct wh_worker worker;
    struct wh_backend backend;
    struct wh_pool *pool;
} harness;

/* Nobody answers a callback: it is as if the client had gone. */
static int64_t refuse_upcall(struct wh_channel *channel, enum wh_upcall_kind kind, uint64_t word,
                             const void *payload, uint32_t size)
{
    (void)channel;
    (void)kind;
    (void)word;
    (void)payload;
    (void)size;
    return -1;
}

/* The arena in a memfd, as in a real session, with a page behind it that may not be touched. */
static uint8_t *map_arena(int *fd)
{
    static uint8_t *arena;
    static int file = -1;
    if (!arena) {
        file = memfd_create("arena", MFD_CLOEXEC);
        if (file < 0 || ftruncate(file, ARENA) < 0)
            abort();
        uint8_t *room = mmap(NULL, ARENA + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        arena = mmap(room, ARENA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
        if (arena == MAP_FAILED)
            abort();
        wh_log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    }
    *fd = file;
    return arena;
}

/* What images and options find there: text of code, and zeros. */
static void fill_arena(uint8_t *arena)
{
    static const char text[] = ".version 7.0\n.target sm_75\n.address_size 64\n";
    memset(arena, 0, ARENA);
    for (size_t at = 0; at + sizeof(text) < ARENA; at += 4096)
        memcpy(arena + at, text, sizeof(text));
    memcpy(arena + 8192, "\x50\xed\x55\xba\x01\x00\x10\x00\x20", 9);
    memcpy(arena + 12288, "\x7f\x45\x4c\x46\x02\x01\x01", 7);
}

static void open_session(void)
{
    struct wh_error error = {0};
    int fd;
    uint8_t *arena = map_arena(&fd);
    fill_arena(arena);
    wh_memory_init(&harness.memory, arena, ARENA, fd);
    harness.ops = *harness.memory.channel.ops;
    harness.ops.push_upcall = refuse_upcall;
    harness.memory.channel.ops = &harness.ops;
    harness.worker =
        (struct wh_worker){.channel = &harness.memory.channel, .table = wh_table_new()};
    harness.pool = wh_pool_new(MOST_SCRATCH);
    if (!harness.worker.table || !harness.pool ||
        wh_cuda_open(&harness.worker, &harness.backend, &error) < 0)
        abort();
    harness.backend.thunks = cuda_fake_thunks();
}

static void close_session(void)
{
    struct wh_call none = {.worker = &harness.worker,
                           .desc = &wh_cuda_api.calls[WH_CUDA_cuInit],
                           .thread = UINT32_MAX};
    wh_cuda_enter(&none); /* no context is current */
    cuda_fake_reset();
    wh_table_free(harness.worker.table);
    wh_pool_free(harness.pool);
}

static const char *dispatch(const struct wh_message *message)
{
    bool leads = true;
    const char *fault = wh_worker_dispatch(&harness.worker, message, harness.pool, &leads);
    wh_pool_reset(harness.pool);
    return fault;
}

/* A whole session. Returns its fault, or NULL. */
static const char *carry_out(const uint8_t *data, size_t size)
{
    size_t length;
    const char *fault = NULL;
    open_session();
    while (!fault && (length = message_size(data, size)) > 0) {
        struct wh_message *message = malloc(length); /* exactly: reads behind it are seen */
        memcpy(message, data, length);
        message->size = (uint32_t)length; /* lies about it are the ring's to find */
        fault = dispatch(message);
        free(message);
        data += length;
        size -= length;
    }
    close_session();
    return fault;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)carry_out(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    struct chance chance = {.state = seed * 0x9e3779b97f4a7c15ull + 1};
    for (unsigned i = 0; i < 4; i++)
        chance_below(&chance, 2);
    if (chance_below(&chance, 8) == 0)
        return LLVMFuzzerMutate(data, size, most);
    for (uint32_t n = 1 + chance_below(&chance, 4); n > 0; n--)
        size = change_messages(&chance, &wh_cuda_api, thunks(), data, size, most);
    return size;
}

/* ---- seeds ---- */

static uint8_t seed[MOST_SEED];
static size_t seed_size;

/* A message of these words, which nobody waits for. */
static void put(enum wh_cuda_call call, unsigned n, const uint64_t *words)
{
    struct wh_message header = {.size = (uint32_t)(sizeof(header) + 8 * n),
                                .call = (uint16_t)call,
                                .thread = 1,
                                .slot = WH_NO_SLOT,
                                .reply_at = WH_IN_SLOT};
    memcpy(seed + seed_size, &header, sizeof(header));
    memcpy(seed + seed_size + sizeof(header), words, 8 * (size_t)n);
    seed_size += header.size;
}

#define PUT(name, ...)                                               \
    put(WH_CUDA_##name, sizeof((const uint64_t[]){__VA_ARGS__}) / 8, \
        (const uint64_t[]){__VA_ARGS__})

/* A context, code, memory of every kind: what other messages need. Ids are 8 times the type, as
 * generated messages have them. */
static void put_prologue(void)
{
    seed_size = 0;
    PUT(wh_primary_name, 0, 1, 8);
    PUT(wh_primary_retain, 0, 8);
    PUT(wh_set_current, 8);
    PUT(wh_image_part, 1, 64, 0, 64, 0);
    PUT(wh_load_module, 1, 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, 0, WH_PAYLOAD_NULL, 0,
        WH_PAYLOAD_NULL, 20, 1, 16);
    PUT(wh_image_part, 1, 64, 0, 64, 4096);
    PUT(wh_load_library, 1, 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, 0, WH_PAYLOAD_NULL, 0,
        WH_PAYLOAD_NULL, 20, 1, 32);
    PUT(wh_get_function, 16, 2, 'k', 1, 24);
    PUT(wh_get_kernel, 32, 2, 'k', 1, 40);
    PUT(cuStreamCreate, 1, 88, 0);
    PUT(cuEventCreate, 1, 80, 0);
    PUT(cuArrayCreate_v2, 1, 48, 24, 16, 16, 1ull << 32 | CU_AD_FORMAT_UNSIGNED_INT8);
    PUT(cuMemPoolCreate, 1, 144, 88, CU_MEM_ALLOCATION_TYPE_PINNED, CU_MEM_LOCATION_TYPE_DEVICE, 0,
        0, 0, 0, 0, 0, 0, 0, 0);
    PUT(wh_link_create, 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, 64, 64, 1, 184);
    PUT(cuMemAlloc_v2, 8, 4096);
    PUT(cuMemAlloc_v2, 8, 65536);
    PUT(wh_share_arena, SHARED);
    PUT(wh_host_register, SHARED, 4096, 2, 8);
}

/* Copies with rows: of the device's memory, of shared memory, staged. */
static void put_boxes(void)
{
    const uint64_t device = CUDA_FAKE_MEMORY, other = CUDA_FAKE_MEMORY + CUDA_FAKE_STEP;
    const uint64_t staged = WH_CUDA_PLACE_STAGED, array = WH_CUDA_PLACE_ARRAY;
    PUT(wh_copy_box, 136, 0, device, 64, 8, 1, 1, 1, 0, other, 128, 16, 0, 0, 0, 32, 4, 2, 0, 0,
        88);
    PUT(wh_copy_box, 136, 0, SHARED, 64, 8, 0, 0, 0, 0, device, 0, 0, 0, 0, 0, 64, 4, 1, 0, 0, 0);
    PUT(wh_write_box, 136, 0, device, 64, 8, 0, 0, 0, staged, 0, 16, 4, 0, 0, 0, 16, 4, 2, 0, 128,
        0, 0);
    PUT(wh_read_box, 136, staged, 0, 16, 4, 0, 0, 0, 0, device, 64, 8, 0, 0, 0, 16, 4, 2, 0, 128, 0,
        0);
    PUT(wh_read_box, 136, staged, 0, 16, 4, 0, 0, 0, array, 0, 0, 0, 0, 0, 0, 16, 4, 1, 48, 64, 0,
        0);
}

/* Addresses and handles inside of structures. */
static void put_structures(void)
{
    const uint64_t device = CUDA_FAKE_MEMORY;
    PUT(wh_batch_memop, 88, 2, 96, CU_STREAM_MEM_OP_WRITE_VALUE_32, device, 7, 0, 0, 0,
        CU_STREAM_MEM_OP_WAIT_VALUE_64, device + 8, 7, 0, 0, 0, 0);
    PUT(cuStreamSetAttribute, 88, CU_STREAM_ATTRIBUTE_ACCESS_POLICY_WINDOW, 64, device, 64, 0, 0, 0,
        0, 0, 0);
    PUT(wh_launch, 24, 0, 32, 1ull << 32 | 1, 1ull << 32 | 1, 1ull << 32 | 1, 0, 88, 1, 72,
        CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT, 0, 0, 0, 0, 0, 0, 0, 0, 1, 80, 16, 16, device, 1);
    PUT(wh_launch, 0, 40, 32, 1ull << 32 | 1, 1ull << 32 | 1, 1ull << 32 | 1, 0, 0, 0,
        WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, 8, 8, device);
    PUT(wh_texture_create, 144, CU_RESOURCE_TYPE_LINEAR, device, 1ull << 32, 64, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 104, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, WH_PAYLOAD_NULL,
        8);
    PUT(wh_texture_create, 144, CU_RESOURCE_TYPE_ARRAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 48, 0, 104, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, WH_PAYLOAD_NULL, 8);
    PUT(wh_surface_create, 48, 8);
    PUT(wh_function_name, 0, 32, 1, 8, 8, 8);
    PUT(wh_link_add, 184, CU_JIT_INPUT_PTX, 64, 0, 2, 'k', 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL);
    PUT(wh_link_complete, 184, 8);
    PUT(wh_link_read, 184, 0, 64, 0);
    PUT(wh_link_logs, 184, 64, 64, 64, 64, 4, 4, 4, 4);
    PUT(wh_host_unregister, SHARED);
    PUT(cuMemFree_v2, device);
}

/* A node of a graph, or new parameters of one; of a staged copy with the bytes that it has. */
static void put_node(unsigned how, uint64_t id, uint64_t exec, const wh_cuda_node *node)
{
    const wh_cuda_target target = {.how = how, .id = id};
    uint64_t words[256] = {sizeof(target)};
    const uint64_t middle[] = {exec, 0, WH_PAYLOAD_NULL, WH_PAYLOAD_NULL, sizeof(*node)},
                   rest[] = {8, 0, 0, 0, 0, 0, node->box.width, 0, 0, WH_PAYLOAD_NULL, 8, 8};
    unsigned n = 1;
    memcpy(words + n, &target, sizeof(target));
    n += sizeof(target) / 8;
    memcpy(words + n, middle, sizeof(middle));
    n += sizeof(middle) / 8;
    memcpy(words + n, node, sizeof(*node));
    n += sizeof(*node) / 8;
    memcpy(words + n, rest, sizeof(rest));
    put(WH_CUDA_wh_node_put, n + sizeof(rest) / 8, words);
}

/* Functions and staged copies in graphs and executable ones, with others in their place; numbers
 * are 16 times the place in the worker's table. */
static void put_graphs(void)
{
    const wh_cuda_node host = {.type = CU_GRAPH_NODE_TYPE_HOST, .token = 1};
    const wh_cuda_node copy = {
        .type = CU_GRAPH_NODE_TYPE_MEMCPY,
        .box = {.to = {.address = CUDA_FAKE_MEMORY, .pitch = 64, .height = 1},
                .from = {.kind = WH_CUDA_PLACE_STAGED, .pitch = 64, .height = 1},
                .width = 64,
                .height = 1,
                .depth = 1}};
    const uint64_t exec = 8 * WH_CUDA_TYPE_CUgraphExec;
    PUT(wh_graph_create, 0, 8);
    put_node(WH_CUDA_NODE_NEW, 0x10, 0, &host);
    put_node(WH_CUDA_NODE_NEW, 0x10, 0, &copy);
    put_node(WH_CUDA_NODE_SET, 0x20, 0, &host);
    put_node(WH_CUDA_NODE_SET, 0x30, 0, &copy);
    PUT(wh_user_create, 7, 2, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC, 8);
    PUT(wh_user_graph, 0x10, 0x40, 1, true, CU_GRAPH_USER_OBJECT_MOVE);
    PUT(wh_graph_instantiate, 0x10, 0, 0, sizeof(wh_cuda_instantiated), 1, exec);
    put_node(WH_CUDA_NODE_EXEC, 0x20, exec, &host);
    put_node(WH_CUDA_NODE_EXEC, 0x30, exec, &copy);
    PUT(cuGraphLaunch, exec, 0);
    put_node(WH_CUDA_NODE_EXEC, 0x20, exec, &host);
    put_node(WH_CUDA_NODE_EXEC, 0x30, exec, &copy);
    PUT(cuGraphLaunch, exec, 88);
    PUT(wh_graph_clone, 0x10, 8);
    PUT(wh_exec_update, exec, 0x10, sizeof(wh_cuda_updated));
    put_node(WH_CUDA_NODE_EXEC, 0x20, exec, &host);
    PUT(wh_graph_destroy, 0x10);
    PUT(cuGraphLaunch, exec, 0);
    PUT(cuGraphExecDestroy, exec);
    PUT(wh_user_count, 0x40, 1, false);
}

static void write_seed(const char *folder, const char *name)
{
    char path[512];
    const char *fault = carry_out(seed, seed_size);
    if (fault)
        (void)fprintf(stderr, "%s: %s\n", name, fault);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(seed, seed_size, 1, file) != 1 || fclose(file) != 0)
        exit(EXIT_FAILURE);
}

/* A message at random that the worker takes, if there is one. */
static void put_random(struct chance *chance, const void *const *only)
{
    struct known known;
    known_collect(&known, &wh_cuda_api, seed, seed_size);
    for (unsigned i = 0; i < 100; i++) {
        size_t made = generate_message(chance, &wh_cuda_api, only, &known, seed + seed_size,
                                       MOST_SEED - seed_size);
        if (made > 0 && !carry_out(seed, seed_size + made)) {
            seed_size += made;
            return;
        }
    }
}

/* One for each call that crosses, after what it needs; and some made by hand. */
static void write_seeds(const char *folder)
{
    struct chance chance = {.state = 1};
    put_prologue();
    const size_t prologue = seed_size;
    for (unsigned number = 0; number < wh_cuda_api.ncalls; number++) {
        const void *only[WH_CUDA_NCALLS] = {NULL};
        only[number] = thunks()[number];
        if (!only[number])
            continue;
        seed_size = prologue;
        for (unsigned i = 0; i < 3; i++)
            put_random(&chance, only);
        write_seed(folder, wh_cuda_api.calls[number].name);
    }
    seed_size = prologue;
    put_boxes();
    write_seed(folder, "boxes");
    seed_size = prologue;
    put_structures();
    write_seed(folder, "structures");
    seed_size = prologue;
    put_graphs();
    write_seed(folder, "graphs");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("FUZZ_CUDA_SEEDS");
    (void)argc;
    (void)argv;
    if (!folder)
        return 0;
    write_seeds(folder);
    exit(EXIT_SUCCESS);
}
