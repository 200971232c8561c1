/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's end of its tenant's ledger; see ledger.h. */
#include "worker/ledger.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int wh_ledger_open(struct wh_ledger *ledger, int fd, uint64_t offset, size_t count, uint32_t number,
                   struct wh_error *error)
{
    struct stat status;
    uint64_t size = count * sizeof(struct wh_account);
    if (number >= count || fstat(fd, &status) < 0 || (uint64_t)status.st_size < offset ||
        (uint64_t)status.st_size - offset < size)
        return wh_error_set(error, EINVAL, "the worker was started without its tenant's ledger");
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (memory == MAP_FAILED)
        return wh_error_set(error, errno, "the worker cannot map its tenant's ledger: %s",
                            strerror(errno));
    ledger->accounts = memory;
    ledger->count = count;
    ledger->own = &ledger->accounts[number];
    ledger->is_fixed = offset > 0;
    return 0;
}

const struct wh_account *wh_ledger_find(const struct wh_ledger *ledger, uint32_t worker)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct wh_account *account = &ledger->accounts[i];
        /* Acquire pairs with the daemon's release. */
        if (atomic_load_explicit(&account->session, memory_order_acquire) &&
            account->worker == worker)
            return account;
    }
    return NULL;
}
