/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of calls in which each depends on what the one before it left in the driver: `cuda_order
 * PROCESSES THREADS STEPS` starts processes with threads that call at once, move between the CPUs
 * and are interrupted by a timer, and prints what is left in the end. With STEPS 0 they call until
 * a line comes.
 *
 * A step reads a limit of the thread's own context, and sets it to what follows from it. Now and
 * then the value goes into a kernel that carries a word of device memory on, in the view or not;
 * a stream and an event that were made some steps before, by whichever thread, are looked at,
 * ended, and others made; and threads go one step with the context that they share, in turn. A call
 * that is lost, made twice or out of order changes all values that follow. The program keeps the
 * same chains itself and compares.
 */
#include "cuda_program.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_PROCESSES 8
#define MOST_THREADS   8

/* How often a step does what else there is to do. */
#define EACH_SHARED 16
#define EACH_MOVE   32
#define EACH_LAUNCH 64
#define EACH_LOOK   1024

#define LIMIT CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT /* any value is as good as another */

/* *word = *word * 1664525 + number, three times. A view has no clock: who asks for one is for the
 * worker's threads. */
#define KERNEL(name, more)                                             \
    ".visible .entry " name "(.param .u64 word, .param .u32 number)\n" \
    "{\n"                                                              \
    "  .reg .pred %p; .reg .b32 %r<8>; .reg .b64 %d<2>;\n"             \
    "  ld.param.u64 %d1, [word]; ld.param.u32 %r1, [number];\n"        \
    "  ld.global.u32 %r2, [%d1]; mov.u32 %r3, 0;\n" more "next:\n"     \
    "  mad.lo.u32 %r2, %r2, 1664525, %r1;\n"                           \
    "  add.u32 %r3, %r3, 1; setp.lt.u32 %p, %r3, 3;\n"                 \
    "  @%p bra next;\n"                                                \
    "  st.global.u32 [%d1], %r2;\n"                                    \
    "  ret;\n"                                                         \
    "}\n"
static const char ptx[] = ".version 7.0\n.target sm_70\n.address_size 64\n" //
    KERNEL("carry", "") KERNEL("carry_in_worker", "  mov.u32 %r4, %clock;\n");

static uint32_t carry(uint32_t word, uint32_t number)
{
    for (int i = 0; i < 3; i++)
        word = word * 1664525 + number;
    return word;
}

static uint64_t follow(uint64_t value)
{
    return value * 6364136223846793005u + 1442695040888963407u;
}

/* What depends on a context's calls, as it is to be. */
struct chain {
    CUcontext context;
    CUfunction functions[2]; /* by turns */
    CUdeviceptr word;
    CUstream stream, other; /* the other one comes and goes, with the event */
    CUevent event;
    int priority; /* of the other stream */
    uint64_t value;
    uint32_t carried;
    unsigned long steps, launches;
};

/* Between the processes. */
struct board {
    atomic_bool stop;
    _Atomic unsigned long calls, alarms;
    uint64_t sums[MOST_PROCESSES];
};

/* One of the processes: it says a byte when it is ready, and one at the end, and each time waits
 * until the first closes the other pipe. */
struct child {
    int said, go, leave;
};

struct process {
    struct board *board;
    struct chain shared;
    pthread_mutex_t lock; /* of the shared chain */
    pthread_barrier_t start;
    unsigned long steps; /* of each thread; 0: until told */
};

struct thread {
    struct process *process;
    struct chain own;
    pthread_t thread;
    int number;
    unsigned long calls;
};

static void launch(struct chain *chain)
{
    uint32_t number = (uint32_t)(chain->value >> 32);
    void *params[] = {&chain->word, &number};
    CUfunction function = chain->functions[chain->launches++ % 2];
    CHECK(cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, chain->stream, params, NULL));
    chain->carried = carry(chain->carried, number);
}

/* Into ordinary memory: complete when the call returns. */
static void look(struct chain *chain)
{
    uint32_t carried = 0;
    CHECK(cuMemcpyDtoHAsync_v2(&carried, chain->word, sizeof(carried), chain->stream));
    expect(carried == chain->carried, "the word in device memory", chain->steps);
}

static void make_objects(struct chain *chain)
{
    chain->priority = -(int)((chain->value >> 40) % 6);
    CHECK(cuStreamCreateWithPriority(&chain->other, CU_STREAM_NON_BLOCKING, chain->priority));
    CHECK(cuEventCreate(&chain->event, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventRecord(chain->event, chain->other));
}

/* Calls: seven. */
static void replace_objects(struct chain *chain)
{
    int priority = 1;
    CHECK(cuStreamGetPriority(chain->other, &priority));
    expect(priority == chain->priority, "a stream", chain->steps);
    CHECK(cuStreamWaitEvent(chain->stream, chain->event, 0));
    CHECK(cuEventDestroy_v2(chain->event));
    CHECK(cuStreamDestroy_v2(chain->other));
    make_objects(chain);
}

/* What is asked once is asked here. */
static void open_chain(struct chain *chain, uint64_t seed)
{
    CUmodule module;
    uint32_t zero = 0;
    CHECK(cuModuleLoadData(&module, ptx));
    CHECK(cuModuleGetFunction(&chain->functions[0], module, "carry"));
    CHECK(cuModuleGetFunction(&chain->functions[1], module, "carry_in_worker"));
    CHECK(cuMemAlloc_v2(&chain->word, sizeof(zero)));
    CHECK(cuMemcpyHtoD_v2(chain->word, &zero, sizeof(zero)));
    CHECK(cuStreamCreate(&chain->stream, CU_STREAM_NON_BLOCKING));
    chain->value = seed;
    make_objects(chain);
    CHECK(cuCtxSetLimit(LIMIT, seed));
    launch(chain);
    launch(chain);
    look(chain);
}

/* Calls: two, and what there is more of now and then. */
static unsigned step(struct chain *chain, unsigned long each_launch)
{
    size_t value = 0;
    unsigned calls = 2;
    CHECK(cuCtxGetLimit(&value, LIMIT));
    expect(value == chain->value, "the limit", chain->steps);
    chain->value = follow(chain->value);
    CHECK(cuCtxSetLimit(LIMIT, chain->value));
    if (++chain->steps % each_launch == 0) {
        launch(chain);
        calls++;
    }
    if (chain->steps % each_launch == each_launch / 2) {
        replace_objects(chain);
        calls += 7;
    }
    return calls;
}

/* The worker is told of the change with the call that follows it, and of that back, too. */
static unsigned step_shared(struct thread *thread)
{
    struct process *process = thread->process;
    pthread_mutex_lock(&process->lock);
    CHECK(cuCtxSetCurrent(process->shared.context));
    unsigned calls = 2 + step(&process->shared, EACH_LAUNCH / EACH_SHARED);
    CHECK(cuCtxSetCurrent(thread->own.context));
    pthread_mutex_unlock(&process->lock);
    return calls;
}

static void move(unsigned long number)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(number % (unsigned long)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
    (void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

static bool goes_on(const struct thread *thread)
{
    const struct process *process = thread->process;
    return process->steps ? thread->own.steps < process->steps : !process->board->stop;
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    struct chain *own = &thread->own;
    CHECK(cuCtxSetCurrent(own->context));
    pthread_barrier_wait(&thread->process->start);
    while (goes_on(thread)) {
        thread->calls += step(own, EACH_LAUNCH);
        if (own->steps % EACH_SHARED == 0)
            thread->calls += step_shared(thread);
        if (own->steps % EACH_MOVE == 0)
            move(own->steps / EACH_MOVE + (unsigned long)thread->number);
        if (own->steps % EACH_LOOK == 0) {
            look(own);
            thread->calls++;
        }
    }
    look(own);
    thread->calls += 2; /* and what told of the context */
    return NULL;
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal)
{
    (void)signal;
    alarms++;
}

/* Of the process's own time, so that it interrupts what it does. */
static void start_alarm(void)
{
    const struct itimerval often = {{0, 2000}, {0, 2000}};
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &often, NULL);
}

static uint64_t mix(uint64_t sum, const struct chain *chain)
{
    return ((sum ^ chain->value) * 1099511628211u ^ chain->carried) * 1099511628211u;
}

static void open_process(struct process *process, struct thread *threads, int number, int nthreads)
{
    CUdevice device;
    uint64_t seed = (uint64_t)number * 100;
    pthread_mutex_init(&process->lock, NULL);
    pthread_barrier_init(&process->start, NULL, (unsigned)nthreads + 1);
    process->shared.context = open_device(&device);
    open_chain(&process->shared, seed);
    for (int i = 0; i < nthreads; i++) {
        threads[i] = (struct thread){.process = process, .number = number + i};
        CHECK(cuCtxCreate_v2(&threads[i].own.context, 0, device));
        open_chain(&threads[i].own, seed + (uint64_t)i + 1);
        pthread_create(&threads[i].thread, NULL, run, &threads[i]);
    }
}

static uint64_t run_chains(struct process *process, struct thread *threads, int nthreads)
{
    uint64_t sum = 14695981039346656037u;
    pthread_barrier_wait(&process->start);
    for (int i = 0; i < nthreads; i++) {
        pthread_join(threads[i].thread, NULL);
        sum = mix(sum, &threads[i].own);
        atomic_fetch_add(&process->board->calls, threads[i].calls);
    }
    CHECK(cuCtxSetCurrent(process->shared.context));
    look(&process->shared);
    atomic_fetch_add(&process->board->calls, 2);
    return mix(sum, &process->shared);
}

static void tell(const struct child *child, int until)
{
    char byte = 0;
    if (write(child->said, &byte, 1) != 1 || read(until, &byte, 1) != 0)
        exit(1);
}

static void be_child(struct board *board, const struct child *child, int number, int nthreads,
                     unsigned long steps)
{
    static struct process process;
    static struct thread threads[MOST_THREADS];
    process.board = board;
    process.steps = steps;
    open_process(&process, threads, number, nthreads);
    start_alarm();
    tell(child, child->go);
    board->sums[number] = run_chains(&process, threads, nthreads);
    atomic_fetch_add(&board->alarms, (unsigned long)alarms);
    tell(child, child->leave);
    exit(0);
}

/* ---- the first process ---- */

static int count_bytes(const int *from, int n)
{
    char byte;
    int count = 0;
    for (int i = 0; i < n; i++)
        count += read(from[i], &byte, 1) == 1;
    return count;
}

static int make_pipe(int *reading)
{
    int ends[2];
    if (pipe(ends) != 0)
        exit(1);
    *reading = ends[0];
    return ends[1];
}

int main(int argc, char **argv)
{
    int n = argc > 3 ? atoi(argv[1]) : 0, nthreads = argc > 3 ? atoi(argv[2]) : 0;
    int failures = 0, status, saying[MOST_PROCESSES];
    pid_t pids[MOST_PROCESSES];
    uint64_t sum = 0;
    char line[100];
    if (n < 1 || n > MOST_PROCESSES || nthreads < 1 || nthreads > MOST_THREADS)
        return 2;
    unsigned long steps = strtoul(argv[3], NULL, 10);
    struct board *board =
        mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct child child;
    int go = make_pipe(&child.go), leave = make_pipe(&child.leave);
    for (int i = 0; i < n; i++) {
        child.said = make_pipe(&saying[i]);
        pids[i] = fork();
        if (pids[i] == 0) {
            close(go);
            close(leave);
            be_child(board, &child, i, nthreads, steps);
        }
        close(child.said);
    }
    (void)snprintf(line, sizeof(line), "ready %d", count_bytes(saying, n));
    say(line);
    close(go);
    if (steps == 0) {
        if (strcmp(say("calling"), "kill\n") == 0) {
            kill(pids[0], SIGKILL);
            say("killed");
        }
        board->stop = true;
    }
    int good = count_bytes(saying, n);
    for (int i = 0; i < n; i++)
        sum = sum * 31 + board->sums[i];
    (void)snprintf(line, sizeof(line), "order processes %d calls %lu alarms %lu sum %016llx", good,
                   board->calls, board->alarms, (unsigned long long)sum);
    say(line);
    close(leave);
    while (wait(&status) > 0)
        failures += status != 0;
    printf("left %d\n", failures);
    return failures;
}
