/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on the parts of a word, and floats of 8 bits: shared by decoder and handlers.
 */
#ifndef WH_SOFTGPU_SHORT_H
#define WH_SOFTGPU_SHORT_H

#include "code.h"

enum wh_video {
    VIDEO_ADD,
    VIDEO_SUB,
    VIDEO_DIFFERENCE,
    VIDEO_MIN,
    VIDEO_MAX,
    VIDEO_AVERAGE,
    VIDEO_SET
};

/* n parts; type, type2: of a and b; F_SIGNED: of the result; F_MULTI: their sum is added to c;
 * order: VIDEO_SET's comparison */
void wh_do_video(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);
void wh_do_convert_tiny(struct wh_warp *warp, const struct wh_ins *ins, uint32_t mask);

#endif
