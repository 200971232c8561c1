/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checker: refuses descriptions that mean nothing or that would be unsafe, and completes the
 * model with what the emitters need (sizes, kinds, lengths, indices). Called by main between
 * parsing and emitting.
 */
#ifndef WH_APIGEN_CHECK_H
#define WH_APIGEN_CHECK_H

#include "model.h"

/* The first error ends the program. */
void check_api(struct api *api);

/* What follows is shared by the files of the checker only. */

void check_types(struct api *api);
void check_names(struct api *api);
/* Completes call->params[index].desc and checks its text. */
void check_param(struct api *api, struct call *call, size_t index);
struct names *find_props(const struct api *api, const char *name);
struct names *find_info(const struct api *api, const char *name);

#endif
