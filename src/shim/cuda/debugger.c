/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names by which a debugger looks into the driver library of a process. They are there because the
 * driver's library has them; the device is in another process, and nothing here can be debugged.
 * Words of zeros say so, and functions answer that the interface is not up.
 */
#include "client/stub.h"

#define NOT_UP 5u /* the debugger interface's error for that */

#define WORD(name)                  \
    WH_EXPORT extern uint32_t name; \
    uint32_t name
#define ADDRESS(name)               \
    WH_EXPORT extern uint64_t name; \
    uint64_t name
#define ANSWER(name)               \
    WH_EXPORT uint32_t name(void); \
    uint32_t name(void)            \
    {                              \
        return NOT_UP;             \
    }

WORD(cudbgApiClientPid);
WORD(cudbgApiClientRevision);
WORD(cudbgAttachHandlerAvailable);
WORD(cudbgDebuggerCapabilities);
WORD(cudbgDebuggerInitialized);
WORD(cudbgDetachSuspendedDevicesMask);
WORD(cudbgEnableIntegratedMemcheck);
WORD(cudbgEnableLaunchBlocking);
WORD(cudbgEnablePreemptionDebugging);
WORD(cudbgIpcFlag);
WORD(cudbgReportDriverApiErrorFlags);
WORD(cudbgReportedDriverApiErrorSource);
WORD(cudbgResumeForAttachDetach);
WORD(cudbgRpcEnabled);
WORD(cudbgSessionId);
WORD(cudbgUseExternalDebugger);

ADDRESS(cudbgReportedDriverApiErrorCode);
ADDRESS(cudbgReportedDriverApiErrorFuncNameAddr);
ADDRESS(cudbgReportedDriverApiErrorFuncNameSize);
ADDRESS(cudbgReportedDriverApiErrorNameAddr);
ADDRESS(cudbgReportedDriverApiErrorNameSize);
ADDRESS(cudbgReportedDriverApiErrorStringAddr);
ADDRESS(cudbgReportedDriverApiErrorStringSize);
ADDRESS(cudbgReportedDriverInternalErrorCode);

WH_EXPORT extern char cudbgInjectionPath[4096];
char cudbgInjectionPath[4096];

ANSWER(cudbgApiAttach)
ANSWER(cudbgApiDetach)
ANSWER(cudbgApiInit)
ANSWER(cudbgGetAPI)
ANSWER(cudbgGetAPIVersion)
ANSWER(cudbgMain)
ANSWER(cudbgReportDriverApiError)
ANSWER(cudbgReportDriverInternalError)
