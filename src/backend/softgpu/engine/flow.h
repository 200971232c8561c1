/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Variants of barriers and of talk among lanes, shared by decoders and handlers.
 */
#ifndef WH_SOFTGPU_FLOW_H
#define WH_SOFTGPU_FLOW_H

enum { BARRIER_SYNC, BARRIER_ARRIVE, BARRIER_POPC, BARRIER_AND, BARRIER_OR };
enum { SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_BFLY, SHUFFLE_IDX };
enum { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT };
enum { REDUX_ADD, REDUX_MIN, REDUX_MAX, REDUX_AND, REDUX_OR, REDUX_XOR };

#endif
