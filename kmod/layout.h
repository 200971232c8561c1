/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where things are in a view's own part of the zone; shared by the gate's code
 * and by the module, so it holds constants only.
 */
#ifndef WORMHOLE_LAYOUT_H
#define WORMHOLE_LAYOUT_H

/* From the zone's start. */
#define GATE_CODE	0x0
#define GATE_CONFIG	0x1000
#define GATE_LANES	0x100000

/* A lane: a guard, a stack that grows down from its last page, and that page. */
#define LANE_SHIFT	16
#define LANE_SIZE	(1 << LANE_SHIFT)
#define LANE_PAGE	0xf000

/* The lane's page. */
#define LANE_STATE	0x000
#define LANE_TOKEN	0x004
#define LANE_CLIENT_RSP	0x008
#define LANE_STARTED	0x010
#define LANE_CALLS	0x018
#define LANE_MXCSR	0x020
#define LANE_FCW	0x024
#define LANE_REGS	0x040	/* in the order of the instruction encoding */
#define LANE_RIP	0x0c0
#define LANE_RFLAGS	0x0c8
#define LANE_FX		0x100

#define LANE_FREE	0
#define LANE_RUNNING	1
#define LANE_ASIDE	2

/* The configuration page; the client side cannot name it, the view can only read it. */
#define CONFIG_KEY	0x00
#define CONFIG_HANDLER	0x20
#define CONFIG_LANES	0x28
#define CONFIG_LEAVE	0x30
#define CONFIG_MXCSR	0x38
#define CONFIG_ENTRY	0xd8	/* fixed by the jump in the landing page, see view.c */

#endif
