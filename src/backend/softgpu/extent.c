/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of address ranges; see extent.h. */
#include "backend/softgpu/extent.h"

_Static_assert(sizeof(struct soft_extent) <= SOFT_SLOT, "an entry fits its place");

/* Of where it starts: as good as drawn by lot, and nothing to be kept. */
static uint32_t weight_of(const struct soft_extent *extent)
{
    uint32_t x = (uint32_t)(extent->start >> 9) * 0x9e3779b9u;
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ (x >> 16);
}

static uint64_t longest(const struct soft_extent *extent)
{
    return extent ? extent->longest : 0;
}

static void refresh(struct soft_extent *extent)
{
    uint64_t most = extent->size;
    if (longest(extent->left) > most)
        most = longest(extent->left);
    if (longest(extent->right) > most)
        most = longest(extent->right);
    extent->longest = most;
}

/* Parts the tree into what starts below `address` and the rest. */
static void split(struct soft_extent *root, uint64_t address, struct soft_extent **below,
                  struct soft_extent **above)
{
    if (!root) {
        *below = *above = NULL;
    } else if (root->start < address) {
        split(root->right, address, &root->right, above);
        *below = root;
        refresh(root);
    } else {
        split(root->left, address, below, &root->left);
        *above = root;
        refresh(root);
    }
}

static struct soft_extent *join(struct soft_extent *below, struct soft_extent *above)
{
    if (!below || !above)
        return below ? below : above;
    if (below->weight > above->weight) {
        below->right = join(below->right, above);
        refresh(below);
        return below;
    }
    above->left = join(below, above->left);
    refresh(above);
    return above;
}

void soft_extent_insert(struct soft_extent **root, struct soft_extent *extent)
{
    struct soft_extent *below, *above;
    extent->weight = weight_of(extent);
    extent->left = extent->right = NULL;
    refresh(extent);
    split(*root, extent->start, &below, &above);
    *root = join(join(below, extent), above);
}

void soft_extent_remove(struct soft_extent **root, struct soft_extent *extent)
{
    struct soft_extent *below, *self, *above;
    split(*root, extent->start, &below, &above);
    split(above, extent->start + 1, &self, &above);
    *root = join(below, above);
}

struct soft_extent *soft_extent_below(struct soft_extent *root, uint64_t address)
{
    struct soft_extent *best = NULL;
    while (root) {
        if (root->start <= address) {
            best = root;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return best;
}

struct soft_extent *soft_extent_at(struct soft_extent *root, uint64_t address)
{
    struct soft_extent *extent = soft_extent_below(root, address);
    return extent && address - extent->start < extent->size ? extent : NULL;
}

struct soft_extent *soft_extent_fit(struct soft_extent *root, uint64_t size)
{
    while (longest(root) >= size && root) {
        if (longest(root->left) >= size)
            root = root->left;
        else if (root->size >= size)
            return root;
        else
            root = root->right;
    }
    return NULL;
}

uint64_t soft_space_take(struct soft_extent **root, uint64_t size, uint64_t alignment)
{
    struct soft_extent *found = soft_extent_fit(*root, size);
    if (found && (found->start & (alignment - 1)))
        found = soft_extent_fit(*root, size + alignment - 1);
    if (!found)
        return 0;
    uint64_t start = (found->start + alignment - 1) & ~(alignment - 1);
    uint64_t before = start - found->start, after = found->size - before - size;
    struct soft_extent *rest = before && after ? soft_slot_take() : NULL;
    if (before && after && !rest)
        return 0;
    soft_extent_remove(root, found);
    if (before) {
        found->size = before;
        soft_extent_insert(root, found);
        found = rest;
    }
    if (after) {
        found->start = start + size;
        found->size = after;
        soft_extent_insert(root, found);
    } else {
        soft_slot_give(found);
    }
    return start;
}

bool soft_space_give(struct soft_extent **root, uint64_t start, uint64_t size)
{
    struct soft_extent *before = start ? soft_extent_below(*root, start - 1) : NULL;
    struct soft_extent *after = soft_extent_at(*root, start + size);
    if (before && before->start + before->size != start)
        before = NULL;
    struct soft_extent *whole = before ? before : after;
    if (!whole && !(whole = soft_slot_take()))
        return false;
    uint64_t end = start + size;
    if (before) {
        start = before->start;
        soft_extent_remove(root, before);
    }
    if (after) {
        end = after->start + after->size;
        soft_extent_remove(root, after);
    }
    if (before && after)
        soft_slot_give(after);
    whole->start = start;
    whole->size = end - start;
    soft_extent_insert(root, whole);
    return true;
}

void soft_space_clear(struct soft_extent **root)
{
    while (*root) {
        struct soft_extent *extent = *root;
        soft_extent_remove(root, extent);
        soft_slot_give(extent);
    }
}
