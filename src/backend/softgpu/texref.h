/* SPDX-License-Identifier: Apache-2.0 */
/* Texture and surface references of modules; see texref.c. */
#ifndef WH_SOFTGPU_TEXREF_H
#define WH_SOFTGPU_TEXREF_H

#include "backend/softgpu/library.h"

/* A module goes, and its references. */
void soft_texrefs_drop(struct soft_module *module);

#endif
