/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of the vendor who does not exist. With -DWRONG_X it differs from sample.api in X,
 * which the generated check must find: run.sh tries every WRONG_X that it finds in this file.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#if SAMPLE_VERSION != 201 || !defined(SAMPLE_EXTENSIONS)
#error "the definitions of sample.api are missing"
#endif

#define SM_INVALID_VALUE -30
#define SM_ALL           0xFFFFFFFF
#define SM_HUGE          (~(sm_ulong)0)
#define SM_SMALL         (-2147483647 - 1)
#define SM_SMALLEST      INT64_MIN
#ifdef WRONG_SM_TYPE
#define SM_TYPE 0x0101
#else
#define SM_TYPE 0x0100
#endif

#ifdef WRONG_SM_ENUM_VALUE
enum sm_mode { SM_ENUM_VALUE = 8 };
#else
enum sm_mode { SM_ENUM_VALUE = 7 };
#endif

typedef int32_t sm_status;
typedef int8_t sm_i8;
typedef uint8_t sm_u8;
typedef int16_t sm_i16;
typedef uint16_t sm_u16;
typedef int64_t sm_long;
typedef uint64_t sm_ulong;
typedef double sm_double;
#ifdef WRONG_sm_uint
typedef uint64_t sm_uint;
#else
typedef uint32_t sm_uint;
#endif
#ifdef WRONG_sm_float
typedef int32_t sm_float;
#else
typedef float sm_float;
#endif
typedef uint32_t sm_bool;
typedef void *sm_address;
typedef intptr_t sm_prop;
typedef unsigned int sm_info;
typedef unsigned long long int sm_counter;

typedef struct _sm_device *sm_device;
typedef struct _sm_buffer *sm_buffer;
typedef struct _sm_event *sm_event;
typedef sm_buffer sm_image;

typedef struct sm_format {
    sm_u8 order;
#ifdef WRONG_sm_format
    sm_u8 added[4];
#endif
    sm_uint type;
} sm_format;

typedef struct _sm_region {
    sm_u8 kind;
    sm_buffer buffer;
    sm_format format;
#ifdef WRONG_sm_region
    sm_event waits[1];
#else
    sm_event waits[2];
#endif
    char name[24];
    double weight;
} sm_region;

typedef struct sm_usage {
    sm_uint version;
    sm_ulong bytes;
} sm_usage;

typedef struct sm_nested {
    sm_uint flags;
    sm_region region;
} sm_nested;

typedef union _sm_value {
    sm_u8 bytes[12];
    sm_double weight;
    struct {
#ifdef WRONG_sm_value
        sm_u8 low;
#else
        sm_u16 low;
#endif
        sm_uint high;
    } halves[2];
} sm_value;

typedef struct sm_operation {
    sm_uint kind;
    union {
        sm_buffer buffer;
        struct {
            sm_ulong start;
            sm_ulong end;
        } range;
    };
    struct {
        sm_buffer target;
        struct {
#ifdef WRONG_sm_operation
            sm_u8 green;
            sm_u8 red;
#else
            sm_u8 red;
            sm_u8 green;
#endif
        };
    } paint;
    sm_value value;
} sm_operation;

typedef struct sm_host {
    const void *address;
    void (*done)(sm_event, int, void *);
    size_t size;
} sm_host;

#ifdef WRONG_smInit
sm_status smInit(int flags);
#else
sm_status smInit(void);
#endif
void smNotify(sm_uint code);
sm_ulong smTicks(void);
int smScale(sm_float x, sm_double y, short z);
signed char smSign(sm_i8 a8, sm_i16 a16, sm_long a64, sm_u8 b8, sm_u16 b16, sm_counter b64);
sm_address smWhere(sm_address address, sm_bool exact);
sm_buffer smCreateBuffer(sm_device device, const sm_prop *props, size_t size, const void *data,
                         sm_status *error_ret);
sm_status smRetainBuffer(sm_buffer buffer);
sm_status smReleaseBuffer(sm_buffer buffer);
sm_status smGetDevices(sm_uint num_entries, sm_device *devices, sm_uint *num_devices);
sm_status smSplit(sm_buffer buffer, sm_uint count, sm_buffer *parts);
#ifdef WRONG_smCopy
sm_status smCopy(sm_buffer src, sm_buffer dst, const size_t *origin, size_t size,
                 sm_uint num_events, sm_event *events, sm_event *event);
#else
sm_status smCopy(sm_buffer src, sm_buffer dst, const size_t *origin, size_t size,
                 sm_uint num_events, const sm_event *events, sm_event *event);
#endif
sm_status smWait(sm_uint num_events, const sm_event *events);
sm_status smFinish(sm_device device);
sm_status smBuild(const char *options, sm_uint count, const char **sources,
                  const char *const *names);
sm_status smRegions(sm_uint count, const sm_region *regions, const sm_nested *nested,
                    const sm_format *formats);
sm_status smFill(sm_image image, size_t width, size_t height, const float *pixels,
                 unsigned char *rows);
sm_status smGetInfo(sm_buffer buffer, sm_info name, size_t size, void *value, size_t *size_ret);
#ifdef WRONG_smMap
sm_status smMap(sm_buffer buffer, void (*done)(sm_event, long, void *), void *user,
                sm_event *event);
#else
sm_status smMap(sm_buffer buffer, void (*done)(sm_event, int, void *), void *user, sm_event *event);
#endif
sm_status smHost(const sm_host *host, sm_nested *nested);
sm_buffer smImport(sm_device device, int fd, sm_status *error_ret);
sm_status smOnEvent(sm_event event, void (*notify)(sm_event, int, void *), void *user);
const char *smErrorText(sm_status code);
sm_status smPick(sm_region region, sm_device *devices, sm_uint num_devices, void **place,
                 const sm_nested *wish, sm_usage *usage);
void *smLookUp(const char *name);
sm_status smNative(void (*run)(void *), void **args, sm_format by_value);
void *smAlloc(size_t size, sm_status *error_ret);
sm_buffer smFromGraphics(sm_uint name, sm_status *error_ret);
sm_uint smLevels(sm_buffer buffer);
double smLoad(sm_device device);
#ifdef WRONG_smReset
int smReset(sm_device device);
#else
void smReset(sm_device device);
#endif

sm_status smCopyMemory(sm_counter dst, sm_counter src, size_t size, uint64_t word,
                       unsigned long any);
sm_status smGetLimit(sm_device device, sm_uint name, size_t *value);
sm_status smSetLimit(sm_uint name, sm_device device, size_t value);
sm_status smGetUsage(sm_device device, sm_usage *usage);
sm_status smSetUsage(sm_device device, const sm_usage *usage);
sm_status smOperate(const sm_operation *operation, const sm_value *values);
sm_status smCopyMemoryPerThread(sm_counter dst, sm_counter src, size_t size, uint64_t word,
                                unsigned long any);
#ifdef WRONG_smNotifyPerThread
void smNotifyPerThread(sm_ulong code);
#else
void smNotifyPerThread(sm_uint code);
#endif
void smReset2(sm_device device);

/* This vendor has smTune, in a version that defines it, and has never heard of SAMPLE_RETAIN. */
#ifdef WRONG_smTune
#define SAMPLE_TUNE 1
sm_status smTune(sm_device device, const double *hint);
#endif

#endif
