/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's tests with the small guest: worker, daemon and VMM in one process on a host with
 * VMX, real or emulated. TAP on stdout; a test that fails says with which numbers. `mini [CYCLES
 * [FIRST [LAST]]]`: so many rounds of what is repeated, and only those tests.
 */
#include "mini.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

int device, vm, cycles = 1000;
struct machine machine;

/* A timer's signal takes the vCPU's thread out of the guest, wherever it is. */
static void no_op(int signal)
{
    (void)signal;
}

static void (*const all[])(void) = {
    test_refusals,
    test_exits,
    test_keys,
    test_long_calls,
    test_exactly_once,
    test_violations,
    test_budget,
    test_every_offset,
    test_every_index,
    test_functions,
    test_pending_trap,
    test_addresses,
    test_borrowed_stack,
    test_lower_data,
    test_view_to_view,
    test_32bit,
    test_flags,
    test_avx,
    test_suspended_registers,
    test_roots,
    test_ring0,
    test_ring0_roots,
    test_ring0_halt,
    test_descriptor_table,
    test_pause,
    test_two_vcpus,
    test_memory_slots,
    test_dirty_log,
    test_migration,
    test_hotplug,
    test_worker_dies,
    test_pause_and_reset,
    test_guest_dies,
    test_service_vm,
    test_memlock,
    test_closing,
    test_descriptors,
    test_halted,
    test_module,
    test_nested,
    test_cycles,
};

int main(int argc, char **argv)
{
    const int last_of_all = (int)(sizeof(all) / sizeof(*all));
    int first = argc > 2 ? atoi(argv[2]) : 1, last = argc > 3 ? atoi(argv[3]) : last_of_all;
    bool whole = true;

    signal(SIGUSR1, no_op);
    cycles = argc > 1 ? atoi(argv[1]) : cycles;
    setbuf(stdout, NULL);
    device = (int)MUST(open("/dev/wormhole", O_RDWR | O_CLOEXEC));
    machine_open(&machine);
    struct wormhole_vm_open open_vm = {.kvm_fd = machine.vm};
    vm = (int)MUST(ioctl(device, WORMHOLE_VM_OPEN, &open_vm));
    beside_open();
    for (int i = first; i <= last && i <= last_of_all; i++) {
        all[i - 1]();
        if (beside_live())
            continue;
        printf("# that was after test %d\n", i);
        whole = false;
    }
    verdict(whole,
            "after each test the other VM and the other session work on, their memory is whole");
    beside_close();
    close(vm);
    machine_close(&machine);
    close(device);
    await_users(0);
    return conclude();
}
