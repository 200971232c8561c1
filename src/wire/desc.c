/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in the generated tables; see desc.h. */
#include "wire/desc.h"

const struct wh_name_desc *wh_find_name(const struct wh_names *names, int64_t name)
{
    for (int low = 0, high = names->nnames - 1; low <= high;) {
        int middle = (low + high) / 2;
        if (names->names[middle].name == name)
            return &names->names[middle];
        if (names->names[middle].name < name)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return NULL;
}
