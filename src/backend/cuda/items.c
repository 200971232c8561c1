/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs and nodes by number and by the driver's handle; see graph.h. */
#include "backend/cuda/graph.h"
#include "backend/cuda/relay.h"

#include <stdlib.h>

#define BUCKETS 16384u /* a training step's graph has thousands of nodes */

struct slot {
    struct wh_cuda_item *item;
    uint32_t generation;
    uint32_t next; /* free one; 0: none */
};

struct wh_cuda_graphs {
    struct slot *slots;
    uint32_t n, room, unused;
    struct wh_cuda_item *buckets[BUCKETS]; /* by handle; companions are found through their nodes */
    struct companion {
        struct companion *next;
        void *real;
        struct wh_cuda_item *item;
    } * companions;
    struct conditional {
        uint64_t handle;
        const struct wh_cuda_item *graph;
    } * conditionals;
    size_t nconditionals;
};

struct wh_cuda_graphs *wh_cuda_graphs_new(void)
{
    return calloc(1, sizeof(struct wh_cuda_graphs));
}

static struct wh_cuda_item **bucket(struct wh_cuda_graphs *graphs, const void *real)
{
    return &graphs->buckets[((uint64_t)(uintptr_t)real >> 4) * 0x9e3779b97f4a7c15u >> 50];
}

/* A number: generation, place and zeros, so that it looks like a handle. */
static uint64_t number_of(const struct wh_cuda_graphs *graphs, uint32_t place)
{
    return ((uint64_t)graphs->slots[place].generation << 32 | place) << 4;
}

struct wh_cuda_item *wh_cuda_item_find(struct wh_call *call, uint64_t number,
                                       enum wh_cuda_item_kind kind)
{
    const struct wh_cuda_graphs *graphs = wh_cuda_state(call)->graphs;
    uint32_t place = (uint32_t)(number >> 4);
    struct wh_cuda_item *item = place && place < graphs->n && number_of(graphs, place) == number
                                    ? graphs->slots[place].item
                                    : NULL;
    return item && item->kind == kind ? item : NULL;
}

static struct wh_cuda_item *known(struct wh_cuda_graphs *graphs, enum wh_cuda_item_kind kind,
                                  const void *real)
{
    struct wh_cuda_item *item = *bucket(graphs, real);
    while (item && (item->real != real || item->kind != kind))
        item = item->same;
    if (item || kind != WH_CUDA_NODE)
        return item;
    for (struct companion *c = graphs->companions; c; c = c->next)
        if (c->real == real)
            return c->item;
    return NULL;
}

struct wh_cuda_item *wh_cuda_item_known(struct wh_call *call, enum wh_cuda_item_kind kind,
                                        const void *real)
{
    return known(wh_cuda_state(call)->graphs, kind, real);
}

/* A place with a number that was never given before; 0: memory is short. */
static uint32_t take_slot(struct wh_cuda_graphs *graphs)
{
    uint32_t place = graphs->unused;
    if (place) {
        graphs->unused = graphs->slots[place].next;
        return place;
    }
    if (graphs->n >= graphs->room) {
        uint32_t room = graphs->room ? 2 * graphs->room : 256;
        struct slot *more = room > 1u << 26 ? NULL : realloc(graphs->slots, room * sizeof(*more));
        if (!more)
            return 0;
        graphs->slots = more;
        graphs->room = room;
    }
    if (graphs->n == 0)
        graphs->slots[graphs->n++] = (struct slot){0}; /* the first is nothing */
    graphs->slots[graphs->n] = (struct slot){.generation = 0};
    return graphs->n++;
}

static struct wh_cuda_item *add(struct wh_cuda_graphs *graphs, enum wh_cuda_item_kind kind,
                                void *real, struct wh_cuda_item *in)
{
    struct wh_cuda_item *item = calloc(1, sizeof(*item));
    uint32_t place = item ? take_slot(graphs) : 0;
    if (!place) {
        free(item);
        return NULL;
    }
    graphs->slots[place].item = item;
    item->number = number_of(graphs, place);
    item->kind = kind;
    item->real = real;
    item->in = in;
    item->embedded = kind == WH_CUDA_GRAPH && in;
    if (in) {
        item->next = in->first;
        in->first = item;
    }
    struct wh_cuda_item **head = bucket(graphs, real);
    item->same = *head;
    *head = item;
    return item;
}

struct wh_cuda_item *wh_cuda_item_of(struct wh_call *call, enum wh_cuda_item_kind kind, void *real,
                                     struct wh_cuda_item *in)
{
    struct wh_cuda_item *item = real ? wh_cuda_item_known(call, kind, real) : NULL;
    if (!real || (item && item->in == in))
        return item;
    if (item)
        wh_cuda_item_drop(call, item); /* it went unnoticed, and its address was given again */
    return add(wh_cuda_state(call)->graphs, kind, real, in);
}

void wh_cuda_item_join(struct wh_call *call, struct wh_cuda_item *item, void *companion, bool first)
{
    struct wh_cuda_graphs *graphs = wh_cuda_state(call)->graphs;
    struct companion *c = malloc(sizeof(*c));
    item->companion = companion;
    item->companion_first = first;
    if (!c)
        return; /* in lists it will be seen as a node of its own */
    *c = (struct companion){.next = graphs->companions, .real = companion, .item = item};
    graphs->companions = c;
}

static void part(struct wh_cuda_graphs *graphs, const struct wh_cuda_item *item)
{
    struct companion **link = &graphs->companions;
    while (*link && (*link)->item != item)
        link = &(*link)->next;
    struct companion *c = *link;
    if (c) {
        *link = c->next;
        free(c);
    }
}

/* Those of a graph go with it. */
static void forget_conditionals(struct wh_cuda_graphs *graphs, const struct wh_cuda_item *graph)
{
    size_t left = 0;
    for (size_t i = 0; i < graphs->nconditionals; i++)
        if (graphs->conditionals[i].graph != graph)
            graphs->conditionals[left++] = graphs->conditionals[i];
    graphs->nconditionals = left;
}

static void drop(struct wh_cuda_graphs *graphs, struct wh_cuda_item *item)
{
    uint32_t place = (uint32_t)(item->number >> 4);
    struct wh_cuda_item **link;
    while (item->first)
        drop(graphs, item->first);
    if (item->in) {
        for (link = &item->in->first; *link != item; link = &(*link)->next)
            ;
        *link = item->next;
    }
    for (link = bucket(graphs, item->real); *link != item; link = &(*link)->same)
        ;
    *link = item->same;
    if (item->companion)
        part(graphs, item);
    if (item->conditionals)
        forget_conditionals(graphs, item);
    wh_cuda_keep_over(item->keep);
    graphs->slots[place] =
        (struct slot){.generation = graphs->slots[place].generation + 1, .next = graphs->unused};
    graphs->unused = place;
    free(item);
}

void wh_cuda_item_drop(struct wh_call *call, struct wh_cuda_item *item)
{
    drop(wh_cuda_state(call)->graphs, item);
}

void wh_cuda_item_move(struct wh_cuda_item *graph, struct wh_cuda_item *node)
{
    graph->embedded = true;
    graph->in = node;
    graph->next = node->first;
    node->first = graph;
}

bool wh_cuda_conditional_add(struct wh_call *call, struct wh_cuda_item *graph, uint64_t handle)
{
    struct wh_cuda_graphs *graphs = wh_cuda_state(call)->graphs;
    struct conditional *more =
        realloc(graphs->conditionals, (graphs->nconditionals + 1) * sizeof(*more));
    if (!more)
        return false;
    graphs->conditionals = more;
    graphs->conditionals[graphs->nconditionals++] =
        (struct conditional){.handle = handle, .graph = graph};
    graph->conditionals = true;
    return true;
}

bool wh_cuda_conditional_is_known(struct wh_call *call, uint64_t handle)
{
    const struct wh_cuda_graphs *graphs = wh_cuda_state(call)->graphs;
    for (size_t i = 0; i < graphs->nconditionals; i++)
        if (graphs->conditionals[i].handle == handle)
            return true;
    return false;
}

/* Nodes of one graph may have the same addresses, at different times. */
bool wh_cuda_graph_memory_add(struct wh_call *call, CUdeviceptr address, size_t size)
{
    const struct wh_cuda_range range = {.start = address,
                                        .size = size,
                                        .kind = WH_CUDA_RANGE_GRAPH,
                                        .owner = wh_cuda_current(call)};
    return wh_cuda_ranges_add_over(wh_cuda_state(call)->ranges, &range);
}

struct wh_cuda_item *wh_cuda_item_of_capture(struct wh_cuda_graphs *graphs, const void *stream)
{
    for (uint32_t i = 1; i < graphs->n; i++)
        if (graphs->slots[i].item && graphs->slots[i].item->capturing &&
            graphs->slots[i].item->origin == stream)
            return graphs->slots[i].item;
    return NULL;
}

void wh_cuda_items_forget_stream(struct wh_cuda_state *state, const void *stream)
{
    struct wh_cuda_item *item;
    while (state->captures && (item = wh_cuda_item_of_capture(state->graphs, stream)))
        drop(state->graphs, item);
}

void wh_cuda_items_forget_exec(struct wh_cuda_state *state, const void *exec)
{
    struct wh_cuda_item *item = known(state->graphs, WH_CUDA_EXEC, exec);
    if (item)
        drop(state->graphs, item);
}
