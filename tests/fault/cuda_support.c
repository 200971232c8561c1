/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA sessions spoken on the wire; see cuda_support.h. */
#include "cuda_support.h"

#include "channel/unix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_ID   77u
#define MOST_BYTES 512u       /* of one array */
#define IMAGE_AT   (1u << 20) /* where images are staged in the arena */

const char cuda_ptx[] = ".version 7.0\n.target sm_75\n.address_size 64\n"
                        ".visible .global .align 8 .b8 table[64];\n"
                        ".global .texref flat;\n.global .surfref board;\n"
                        ".visible .entry poke(.param .u64 to, .param .u32 value)\n"
                        "{\n.reg .b64 %rd<2>; .reg .b32 %r<2>;\n"
                        "ld.param.u64 %rd1, [to];\nld.param.u32 %r1, [value];\n"
                        "st.global.u32 [%rd1], %r1;\nret;\n}\n"
                        ".visible .entry peek(.param .u64 to, .param .u64 from)\n"
                        "{\n.reg .b64 %rd<4>;\n"
                        "ld.param.u64 %rd1, [to];\nld.param.u64 %rd2, [from];\n"
                        "ld.u64 %rd3, [%rd2];\nst.u64 [%rd1], %rd3;\nret;\n}\n";

void cuda_choose_softgpu(void)
{
    setenv("WORMHOLE_CUDA_LIBRARY", "softgpu", 1);
}

struct wh_hello cuda_hello(void)
{
    struct wh_hello hello;
    wh_hello_init(&hello, "cuda", wh_cuda_api.hash, CUDA_ARENA);
    return hello;
}

/* ---- messages ---- */

static uint64_t length_of(const struct wh_param *p, const uint64_t *args)
{
    uint64_t n = p->length.scale;
    if (p->length.a >= 0)
        n *= args[p->length.a];
    if (p->length.b >= 0)
        n *= args[p->length.b];
    return n;
}

/* No bytes where they would not fit into a letter: the length is a lie then. */
static void add_bytes(struct letter *letter, uint64_t n, const void *bytes, uint64_t size)
{
    letter_add(letter, n);
    for (uint64_t done = 0; size <= MOST_BYTES && done < size; done += 8) {
        uint64_t word = 0;
        memcpy(&word, (const char *)bytes + done, size - done < 8 ? size - done : 8);
        letter_add(letter, word);
    }
}

static void add_array(struct letter *letter, const struct wh_param *p, const uint64_t *args,
                      uint64_t arg)
{
    const void *bytes = (const void *)(uintptr_t)arg;
    uint64_t n = length_of(p, args);
    switch ((enum wh_kind)p->kind) {
    case WH_BYTES:
        add_bytes(letter, n, bytes, n);
        break;
    case WH_STRUCTS:
        add_bytes(letter, n, bytes, n * wh_cuda_api.structs[p->type].size);
        break;
    case WH_HANDLES:
        add_bytes(letter, n, bytes, n * 8);
        break;
    case WH_STRING:
        add_bytes(letter, strlen(bytes) + 1, bytes, strlen(bytes) + 1);
        break;
    case WH_NEWS:
        letter_add(letter, n);
        letter_add(letter, arg);
        break;
    default:
        letter_add(letter, n);
    }
}

void cuda_letter(struct cuda_letter *made, enum wh_cuda_call number, const uint64_t *args)
{
    const struct wh_call_desc *call = &wh_cuda_api.calls[number];
    struct letter *letter = &made->letter;
    letter_begin(letter, (enum wh_opencl_call)number, 0);
    for (unsigned i = 0; i < call->nparams; i++) {
        const struct wh_param *p = &call->params[i];
        made->starts[i] = letter->nwords;
        if (p->kind == WH_VALUE || p->kind == WH_HANDLE || p->kind == WH_MEMORY ||
            p->kind == WH_ARENA || p->kind == WH_LOCAL)
            letter_add(letter, args[i]);
        else if (args[i])
            add_array(letter, p, args, args[i]);
        else
            letter_add(letter, WH_PAYLOAD_NULL);
    }
    made->starts[call->nparams] = letter->nwords;
}

int32_t cuda_send(struct cuda_session *session, struct cuda_letter *letter)
{
    session->nreply = sizeof(session->reply) / sizeof(session->reply[0]);
    if (!raw_call(session->shm, &letter->letter, session->reply, &session->nreply))
        return INT32_MAX;
    return (int32_t)session->reply[0];
}

int32_t cuda_ask(struct cuda_session *session, enum wh_cuda_call number, const uint64_t *args,
                 size_t nargs)
{
    struct cuda_letter letter;
    assert_int_equal(nargs, wh_cuda_api.calls[number].nparams);
    cuda_letter(&letter, number, args);
    return cuda_send(session, &letter);
}

/* As a client posts: nobody waits. */
static void post(struct cuda_session *session, enum wh_cuda_call number, const uint64_t *args)
{
    struct cuda_letter letter;
    cuda_letter(&letter, number, args);
    letter.letter.header.slot = WH_NO_SLOT;
    letter.letter.header.reply_room = 0;
    raw_send(session->shm, &letter.letter);
}

/* ---- sessions ---- */

static bool holds(const pid_t *pids, unsigned n, pid_t pid)
{
    for (unsigned i = 0; i < n; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

void cuda_open(struct cuda_session *session, const struct daemon *daemon)
{
    struct wh_hello hello = cuda_hello();
    struct wh_channel *channel = NULL;
    struct wh_error error = {0};
    pid_t before[64], after[64];
    unsigned nbefore = daemon_workers(daemon, before, 64);
    if (wh_channel_connect(daemon->url, &hello, &channel, &error) < 0)
        fail_msg("no session: %s", error.text);
    *session = (struct cuda_session){.shm = (struct wh_shm *)channel};
    unsigned nafter = daemon_workers(daemon, after, 64);
    for (unsigned i = 0; i < nafter; i++)
        if (!holds(before, nbefore, after[i]))
            session->worker = after[i];
}

void cuda_close(struct cuda_session *session)
{
    raw_close(session->shm);
    session->shm = NULL;
}

void cuda_await_end(struct cuda_session *session, char *reason, size_t size)
{
    session->shm->channel.why[0] = '\0'; /* the waiter's own word; the worker's counts */
    raw_await_end(session->shm, reason, size);
}

static void send_image(struct cuda_session *session, const void *image, size_t size)
{
    memcpy(session->shm->channel.arena + IMAGE_AT, image, size);
    assert_int_equal(CUDA_ASK(session, wh_image_part, IMAGE_ID, size, 0, size, IMAGE_AT), 0);
}

int32_t cuda_load(struct cuda_session *session, const void *image, size_t size, uint32_t id)
{
    send_image(session, image, size);
    int32_t status = CUDA_ASK(session, wh_load_module, IMAGE_ID, 0, 0, 0, 0, 0, 0, 0, true, id);
    return status ? status : (int32_t)session->reply[2]; /* the answer's first member */
}

static void must(struct cuda_session *session, int32_t status, const char *what)
{
    char reason[300] = "";
    if (status == INT32_MAX)
        cuda_await_end(session, reason, sizeof(reason));
    if (status != CUDA_SUCCESS)
        fail_msg("an honest session cannot: %s: %d %s", what, status, reason);
}

#define MUST(session, name, ...) must(session, CUDA_ASK(session, name, __VA_ARGS__), #name)

static void furnish_code(struct cuda_session *session)
{
    must(session, cuda_load(session, cuda_ptx, strlen(cuda_ptx) + 1, WH_CUDA_TYPE_CUmodule),
         "load");
    MUST(session, wh_get_function, WH_CUDA_TYPE_CUmodule, (uintptr_t) "poke",
         WH_CUDA_TYPE_CUfunction);
    MUST(session, wh_get_texref, WH_CUDA_TYPE_CUmodule, (uintptr_t) "flat", WH_CUDA_TYPE_CUtexref);
    MUST(session, wh_get_surfref, WH_CUDA_TYPE_CUmodule, (uintptr_t) "board",
         WH_CUDA_TYPE_CUsurfref);
    send_image(session, cuda_ptx, strlen(cuda_ptx) + 1);
    MUST(session, wh_load_library, IMAGE_ID, 0, 0, 0, 0, 0, 0, 0, true, WH_CUDA_TYPE_CUlibrary);
    MUST(session, wh_get_kernel, WH_CUDA_TYPE_CUlibrary, (uintptr_t) "poke", WH_CUDA_TYPE_CUkernel);
    MUST(session, wh_link_create, 0, 0, 0, 64, 64, WH_CUDA_TYPE_CUlinkState);
}

/* Reserved addresses, of which the first half has memory. */
static void furnish_virtual(struct cuda_session *session)
{
    const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                      .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    const CUmemAccessDesc access = {.location = prop.location,
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    MUST(session, wh_memory_create, CUDA_CHUNK_N, (uintptr_t)&prop, 0,
         WH_CUDA_TYPE_wh_cuda_allocation);
    MUST(session, cuMemAddressReserve, true, 2 * CUDA_CHUNK_N, 0, 0, 0);
    session->reserved = session->reply[2];
    MUST(session, wh_memory_map, session->reserved, CUDA_CHUNK_N, 0,
         WH_CUDA_TYPE_wh_cuda_allocation, 0);
    MUST(session, cuMemSetAccess, session->reserved, CUDA_CHUNK_N, (uintptr_t)&access, 1);
}

void cuda_furnish(struct cuda_session *session)
{
    const CUDA_ARRAY_DESCRIPTOR flat = {
        .Width = 16, .Height = 16, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
    const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
                                  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
    MUST(session, cuInit, 0);
    post(session, WH_CUDA_wh_primary_name, (const uint64_t[]){0, WH_CUDA_TYPE_CUcontext});
    MUST(session, wh_primary_retain, 0, WH_CUDA_TYPE_CUcontext);
    MUST(session, wh_set_current, WH_CUDA_TYPE_CUcontext);
    furnish_code(session);
    MUST(session, cuArrayCreate_v2, WH_CUDA_TYPE_CUarray, (uintptr_t)&flat);
    MUST(session, cuEventCreate, WH_CUDA_TYPE_CUevent, 0);
    MUST(session, cuStreamCreate, WH_CUDA_TYPE_CUstream, 0);
    MUST(session, cuMemPoolCreate, WH_CUDA_TYPE_CUmemoryPool, (uintptr_t)&props);
    MUST(session, cuMemAlloc_v2, true, CUDA_MEMORY_N);
    session->memory = session->reply[2];
    furnish_virtual(session);
    MUST(session, wh_stage_open, 64 << 10, CUDA_STAGES);
    MUST(session, wh_share_arena, CUDA_SHARED);
    MUST(session, wh_host_register, CUDA_SHARED, CUDA_SHARED_N, CU_MEMHOSTREGISTER_DEVICEMAP, true);
}

/* ---- lies ---- */

struct daemon cuda_server;
struct cuda_session cuda_neighbour;

void cuda_expect_neighbour(void)
{
    struct cuda_session *session = &cuda_neighbour;
    assert_int_equal(CUDA_ASK(session, cuMemsetD32_v2, session->memory, 0x5a5a5a5a, 4), 0);
    assert_int_equal(CUDA_ASK(session, wh_read, 16, true, session->memory, 0), 0);
    for (unsigned i = 2; i < 4; i++)
        assert_int_equal(session->reply[i], 0x5a5a5a5a5a5a5a5a);
}

int cuda_server_start(void **state)
{
    (void)state;
    cuda_choose_softgpu();
    daemon_start(&cuda_server, NULL);
    cuda_begin(&cuda_neighbour);
    return 0;
}

int cuda_server_stop(void **state)
{
    (void)state;
    cuda_expect_neighbour();
    cuda_close(&cuda_neighbour);
    daemon_stop(&cuda_server);
    return 0;
}

void cuda_begin(struct cuda_session *session)
{
    cuda_open(session, &cuda_server);
    cuda_furnish(session);
}

void cuda_expect_end(struct cuda_session *session, const char *what, const char *why)
{
    char reason[300], line[512];
    cuda_await_end(session, reason, sizeof(reason));
    if (!strstr(reason, why ? why : "protocol violation"))
        fail_msg("%s: the session ends with '%s'%s%s", what, reason, why ? " instead of " : "",
                 why ? why : "");
    process_expect(&cuda_server.process, 1, "ends: protocol violation", line, sizeof(line));
    if (why && !strstr(line, why))
        fail_msg("%s: the log says '%s' instead of '%s'", what, line, why);
    cuda_close(session);
}

void cuda_expect_refused(const struct cuda_liar *liar, int32_t status)
{
    if (status == CUDA_SUCCESS)
        fail_msg("%s: it succeeds", liar->what);
    if (status == INT32_MAX)
        fail_msg("%s: the session ends", liar->what);
}

unsigned cuda_find_places(pid_t worker, uint64_t *places)
{
    char path[64], line[512];
    unsigned n = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", worker);
    FILE *maps = fopen(path, "re");
    if (maps && !fgets(line, sizeof(line), maps)) {
        (void)fclose(maps);
        maps = NULL;
    }
    if (!maps)
        maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx", &first, &last) != 2 || !strchr(line, 'r'))
            continue;
        bool wanted = strstr(line, "[heap]") || strstr(line, "[stack]") ||
                      strstr(line, "wormhole-worker") || strstr(line, "wormhole-softgpu.so");
        if (wanted && n < CUDA_MOST_PLACES - 4)
            places[n++] = (first + last) / 2 & ~0xfffull;
    }
    (void)fclose(maps);
    places[n++] = 0x1000;
    places[n++] = ~0xfffull;
    places[n++] = 0x7ffff7d00000;
    assert_true(n > 4);
    return n;
}
