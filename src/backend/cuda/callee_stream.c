/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in a session's view about streams and events that there are. See callee.h. */
#include "backend/cuda/callee.h"

CALL(stream_priority, STREAM, StreamGetPriority(POINTER(struct CUstream_st, 0), POINTER(int, 1)))
CALL(stream_flags, STREAM, StreamGetFlags(POINTER(struct CUstream_st, 0), POINTER(unsigned, 1)))
CALL(stream_id, STREAM, StreamGetId(POINTER(struct CUstream_st, 0), POINTER(unsigned long long, 1)))
CALL(stream_query, STREAM, StreamQuery(POINTER(struct CUstream_st, 0)))
CALL(stream_synchronize, STREAM, StreamSynchronize(POINTER(struct CUstream_st, 0)))
CALL(event_query, EVENT, EventQuery(POINTER(struct CUevent_st, 0)))
CALL(event_synchronize, EVENT, EventSynchronize(POINTER(struct CUevent_st, 0)))
CALL(stream_wait, STREAM &&EVENT_AT(1),
     StreamWaitEvent(POINTER(struct CUstream_st, 0), POINTER(struct CUevent_st, 1), (unsigned)a[2]))
CALL(record, soft_callee_reaches_record(POINTER(struct CUevent_st, 0)) && STREAM_AT(1),
     EventRecord(POINTER(struct CUevent_st, 0), POINTER(struct CUstream_st, 1)))
CALL(record_flags, soft_callee_reaches_record(POINTER(struct CUevent_st, 0)) && STREAM_AT(1),
     EventRecordWithFlags(POINTER(struct CUevent_st, 0), POINTER(struct CUstream_st, 1),
                          (unsigned)a[2]))
CALL(elapsed, EVENT_AT(1) && EVENT_AT(2),
     EventElapsedTime_v2(POINTER(float, 0), POINTER(struct CUevent_st, 1),
                         POINTER(struct CUevent_st, 2)))

/* ---- attributes ---- */

HAND(stream_attribute, STREAM,
     cuStreamGetAttribute(call, POINTER(struct CUstream_st, 0), (CUstreamAttrID)a[1],
                          POINTER(CUstreamAttrValue, 2)))
HAND(set_stream_attribute, STREAM &&wh_callee_reaches_maps(call),
     cuStreamSetAttribute(call, POINTER(struct CUstream_st, 0), (CUstreamAttrID)a[1],
                          POINTER(const CUstreamAttrValue, 2)))
CALL(copy_stream_attributes, STREAM &&STREAM_AT(1),
     StreamCopyAttributes(POINTER(struct CUstream_st, 0), POINTER(struct CUstream_st, 1)))

/* Of a quiet session no stream captures. */
HAND(capture_info, STREAM,
     capture_info(call, POINTER(struct CUstream_st, 0), (unsigned)a[1],
                  POINTER(CUstreamCaptureStatus, 2), POINTER(uint64_t, 3), POINTER(uint64_t, 4),
                  POINTER(unsigned, 5), POINTER(uint64_t, 6), POINTER(CUgraphEdgeData, 7)))

/* ---- values in memory ---- */

CALL(write_32, STREAM &&wh_callee_has_bytes(a[1], 4, 1),
     StreamWriteValue32_v2(POINTER(struct CUstream_st, 0), a[1], (cuuint32_t)a[2], (unsigned)a[3]))
CALL(write_64, STREAM &&wh_callee_has_bytes(a[1], 8, 1),
     StreamWriteValue64_v2(POINTER(struct CUstream_st, 0), a[1], a[2], (unsigned)a[3]))

/* Once the value is there, and no other process can take it away: else it may be long. */
#define IS_THERE(wide)                                          \
    wh_cuda_shares_none(wh_cuda_state(call), wh_callee_sees) && \
        soft_callee_reaches_value(a[1], a[2], wide, (unsigned)a[3])

CALL(wait_32, STREAM &&IS_THERE(false),
     StreamWaitValue32_v2(POINTER(struct CUstream_st, 0), a[1], (cuuint32_t)a[2], (unsigned)a[3]))
CALL(wait_64, STREAM &&IS_THERE(true),
     StreamWaitValue64_v2(POINTER(struct CUstream_st, 0), a[1], a[2], (unsigned)a[3]))

/* A batch that waits may wait for what it writes itself. */
static bool only_writes(const CUstreamBatchMemOpParams *operations, uint64_t n)
{
    for (uint64_t i = 0; operations && i < n; i++) {
        bool wide = operations[i].operation == CU_STREAM_MEM_OP_WRITE_VALUE_64;
        if ((!wide && operations[i].operation != CU_STREAM_MEM_OP_WRITE_VALUE_32) ||
            !wh_callee_has_bytes(operations[i].writeValue.address, wide ? 8 : 4, 1))
            return false;
    }
    return true;
}

HAND(batch, STREAM &&only_writes(POINTER(const CUstreamBatchMemOpParams, 2), a[1]),
     batch_memop(call, POINTER(struct CUstream_st, 0), (unsigned)a[1],
                 POINTER(const CUstreamBatchMemOpParams, 2), (unsigned)a[3]))
