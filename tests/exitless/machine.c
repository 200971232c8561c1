/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See machine.h. Only tests use it; it must never be taken for a pattern of how to write a VMM.
 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE           4096ull
#define TABLES         0x1000ull /* page tables: here to GATE_FRAMES */
#define GDT            (GUEST_SYSTEM + 0x1000)
#define IDT            (GUEST_SYSTEM + 0x2000)
#define HANDLERS       (GUEST_SYSTEM + 0x3000)
#define KERNEL_STACK   (GUEST_SYSTEM + 0x8000)
#define SYSCALL_TARGET 0xffffffff81000000ull /* nothing is there */

extern const uint8_t guest_binary[], guest_binary_end[];
extern const uint8_t handlers[], handlers_end[];
extern const uint8_t wh_gate_page[];

_Noreturn void machine_die(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t *at(struct machine *machine, uint64_t address)
{
    return (uint64_t *)(machine->memory + address);
}

void machine_map(struct machine *machine, uint64_t address, uint64_t frame)
{
    uint64_t *table = at(machine, TABLES);

    for (int level = 3; level > 0; level--) {
        uint64_t *entry = &table[(address >> (12 + 9 * level)) & 511];

        if (!*entry) {
            *entry = machine->tables | 7;
            machine->tables += PAGE;
        }
        table = at(machine, *entry & ~(PAGE - 1));
    }
    table[(address >> 12) & 511] = frame | 7;
}

void machine_unmap(struct machine *machine, uint64_t address)
{
    at(machine, TABLES)[(address >> 39) & 511] = 0; /* its tables are not used again */
}

static void fill_memory(struct machine *machine)
{
    uint64_t *gdt = at(machine, GDT), *idt = at(machine, IDT);

    machine->tables = TABLES + PAGE;
    for (uint64_t address = 0; address < GUEST_MEMORY; address += PAGE)
        machine_map(machine, address, address);
    for (uint64_t i = 0; i < 3; i++)
        machine_map(machine, GUEST_GATE - PAGE + i * PAGE, GATE_FRAMES + i * PAGE);
    memset(at(machine, GATE_FRAMES), 0xcc, 3 * PAGE);
    memcpy(at(machine, GATE_FRAMES + PAGE), wh_gate_page, PAGE);
    memcpy(at(machine, GUEST_CODE), guest_binary, (size_t)(guest_binary_end - guest_binary));
    memcpy(at(machine, HANDLERS), handlers, (size_t)(handlers_end - handlers));

    gdt[1] = 0x00209b0000000000; /* ring 0 code */
    gdt[2] = 0x0000930000000000;
    gdt[5] = 0x00cff3000000ffff; /* ring 3 data */
    gdt[6] = 0x0020fb0000000000; /* ring 3 code */
    gdt[7] = 0x67 | (GUEST_TSS & 0xffffff) << 16 | 0x8bull << 40;
    /* The ring-0 stack. */
    memcpy((uint8_t *)at(machine, GUEST_TSS) + 4, &(uint64_t){KERNEL_STACK}, 8);
    for (uint64_t vector = 0; vector <= 0x40; vector++) {
        uint64_t handler = HANDLERS + (vector < 32 ? vector : 32) * 32;

        idt[2 * vector] = (handler & 0xffff) | 0x8ull << 16 | 0xeeull << 40 | (handler >> 16) << 48;
    }
    *at(machine, GUEST_SYSTEM) = GUEST_ARGS + offsetof(struct guest_args, interrupts);
}

static void set_start(struct vcpu *vcpu)
{
    struct kvm_sregs *start = &vcpu->start;
    struct kvm_segment code = {.limit = 0xffffffff,
                               .selector = 0x33,
                               .type = 11,
                               .present = 1,
                               .dpl = 3,
                               .s = 1,
                               .l = 1,
                               .g = 1};
    struct kvm_segment data = {.limit = 0xffffffff,
                               .selector = 0x2b,
                               .type = 3,
                               .present = 1,
                               .dpl = 3,
                               .s = 1,
                               .db = 1,
                               .g = 1};

    MUST(ioctl(vcpu->fd, KVM_GET_SREGS, start));
    start->cr3 = TABLES;
    start->cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
    start->cr0 = 0x80000033;
    start->efer = 0x501; /* long mode, SYSCALL */
    start->cs = code;
    start->ds = start->es = start->fs = start->gs = start->ss = data;
    start->gdt.base = GDT;
    start->gdt.limit = 0x7f;
    start->idt.base = IDT;
    start->idt.limit = 0x40f;
    start->tr = (struct kvm_segment){
        .base = GUEST_TSS, .limit = 0x67, .selector = 0x38, .type = 11, .present = 1};
}

void machine_mode(struct vcpu *vcpu, enum machine_mode mode)
{
    struct kvm_segment *code = &vcpu->start.cs, *stack = &vcpu->start.ss;

    code->selector = mode == MODE_RING0 ? 8 : 0x33;
    stack->selector = mode == MODE_RING0 ? 0x10 : 0x2b;
    code->dpl = stack->dpl = mode == MODE_RING0 ? 0 : 3;
    code->l = mode != MODE_32BIT;
    code->db = mode == MODE_32BIT;
}

static void open_vcpu(struct machine *machine, int kvm, int number)
{
    struct vcpu *vcpu = &machine->vcpus[number];
    size_t size = (size_t)MUST(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 100 * sizeof(struct kvm_cpuid_entry2));
    struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + 3 * sizeof(struct kvm_msr_entry));

    vcpu->fd = (int)MUST(ioctl(machine->vm, KVM_CREATE_VCPU, number));
    vcpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    cpuid->nent = 100;
    MUST(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid));
    MUST(ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid));
    msrs->nmsrs = 2;
    msrs->entries[0].index = 0xc0000081; /* STAR: ring 0 at 8, SYSRET to 0x23 */
    msrs->entries[0].data = 0x0023000800000000;
    msrs->entries[1].index = 0xc0000082; /* LSTAR */
    msrs->entries[1].data = SYSCALL_TARGET;
    MUST(ioctl(vcpu->fd, KVM_SET_MSRS, msrs) - 2);
    free(msrs);
    free(cpuid);
    vcpu->args = (struct guest_args *)at(machine, GUEST_ARGS + (uint64_t)(unsigned)number * PAGE);
    vcpu->stack = GUEST_STACK + ((uint64_t)(unsigned)number + 1) * 0x10000;
    set_start(vcpu);
}

static void open_machine(struct machine *machine, bool irqchip)
{
    struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEMORY};
    int kvm = (int)MUST(open("/dev/kvm", O_RDWR | O_CLOEXEC));

    memset(machine, 0, sizeof(*machine));
    machine->vm = (int)MUST(ioctl(kvm, KVM_CREATE_VM, 0));
    machine->memory =
        mmap(NULL, GUEST_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    region.userspace_addr = (uint64_t)machine->memory;
    MUST(ioctl(machine->vm, KVM_SET_USER_MEMORY_REGION, &region));
    fill_memory(machine);
    if (irqchip)
        MUST(ioctl(machine->vm, KVM_CREATE_IRQCHIP, 0));
    for (int i = 0; i < MACHINE_VCPUS; i++)
        open_vcpu(machine, kvm, i);
    MUST(close(kvm));
}

void machine_open(struct machine *machine)
{
    open_machine(machine, false);
}

void machine_open_sleepy(struct machine *machine)
{
    open_machine(machine, true);
}

void machine_close(struct machine *machine)
{
    for (int i = 0; i < MACHINE_VCPUS; i++) {
        munmap(machine->vcpus[i].run, PAGE);
        close(machine->vcpus[i].fd);
    }
    close(machine->vm);
    munmap(machine->memory, GUEST_MEMORY);
}

/* A signal took the vCPU out of the guest. */
static void interrupted(struct vcpu *vcpu)
{
    struct kvm_interrupt interrupt = {.irq = 0x40};

    if (!vcpu->interrupt || !vcpu->run->ready_for_interrupt_injection)
        return;
    if (ioctl(vcpu->fd, KVM_INTERRUPT, &interrupt) == 0)
        vcpu->injected++;
}

int machine_run(struct vcpu *vcpu)
{
    struct kvm_regs regs = {.rip = GUEST_CODE, .rflags = 0x3202, .rsp = vcpu->stack - 8};

    if (vcpu->entry)
        regs.rip = vcpu->entry;
    regs.rdi =
        (uint64_t)GUEST_ARGS + (uint64_t)(vcpu->stack - GUEST_STACK - 0x10000) / 0x10000 * PAGE;
    MUST(ioctl(vcpu->fd, KVM_SET_SREGS, &vcpu->start));
    MUST(ioctl(vcpu->fd, KVM_SET_REGS, &regs));
    return machine_go_on(vcpu);
}

int machine_go_on(struct vcpu *vcpu)
{
    for (;;) {
        int result = ioctl(vcpu->fd, KVM_RUN, 0);

        if (result < 0 && errno == EINTR && vcpu->stop)
            return vcpu->port = -1;
        if (result < 0 && errno == EINTR) {
            interrupted(vcpu);
            continue;
        }
        if (result < 0)
            machine_die("KVM_RUN");
        vcpu->port = vcpu->run->exit_reason == KVM_EXIT_IO ? vcpu->run->io.port : -1;
        return vcpu->port;
    }
}

static void *run_thread(void *argument)
{
    machine_run(argument);
    return NULL;
}

void machine_start(struct vcpu *vcpu)
{
    if (pthread_create(&vcpu->thread, NULL, run_thread, vcpu))
        machine_die("pthread_create");
}

int machine_wait(struct vcpu *vcpu)
{
    pthread_join(vcpu->thread, NULL);
    return vcpu->port;
}

void machine_stop(struct vcpu *vcpu)
{
    vcpu->stop = true;
    vcpu->run->immediate_exit = 1; /* the signal may come before KVM_RUN */
    pthread_kill(vcpu->thread, SIGUSR1);
    pthread_join(vcpu->thread, NULL);
    vcpu->run->immediate_exit = 0;
    vcpu->stop = false;
}

struct kvm_regs machine_registers(const struct vcpu *vcpu)
{
    struct kvm_regs regs;

    MUST(ioctl(vcpu->fd, KVM_GET_REGS, &regs));
    return regs;
}

void machine_show(const struct vcpu *vcpu)
{
    struct kvm_regs regs = machine_registers(vcpu);
    struct kvm_sregs sregs;

    MUST(ioctl(vcpu->fd, KVM_GET_SREGS, &sregs));
    printf(
        "# exit %u suberror %u port %x rip %llx cs %x ss %x rsp %llx rflags %llx rcx %llx rdx %llx cr2 %llx\n",
        vcpu->run->exit_reason, vcpu->run->internal.suberror, (unsigned)vcpu->port, regs.rip,
        sregs.cs.selector, sregs.ss.selector, regs.rsp, regs.rflags, regs.rcx, regs.rdx, sregs.cr2);
}
