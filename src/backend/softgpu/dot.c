/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs as text in the DOT language. */
#include "backend/softgpu/graph.h"

#include <stdio.h>

static const char *name_of(CUgraphNodeType type)
{
    static const char *const names[] = {"KERNEL",         "MEMCPY",       "MEMSET",
                                        "HOST",           "GRAPH",        "EMPTY",
                                        "WAIT_EVENT",     "EVENT_RECORD", "EXT_SEMAS_SIGNAL",
                                        "EXT_SEMAS_WAIT", "MEM_ALLOC",    "MEM_FREE",
                                        "BATCH_MEM_OP",   "CONDITIONAL"};
    return type < sizeof(names) / sizeof(names[0]) ? names[type] : "UNKNOWN";
}

static void print_label(FILE *file, const struct soft_node *node, unsigned flags)
{
    fprintf(file, "label=\"%zu\\n%s", node->index, name_of(node->body->type));
    if (node->body->type == CU_GRAPH_NODE_TYPE_KERNEL &&
        flags & (CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE | CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS)) {
        CUDA_KERNEL_NODE_PARAMS_v2 p;
        const char *name = NULL;
        soft_launch_describe(node->body->command, &p);
        cuFuncGetName(&name, p.func);
        fprintf(file, "\\n%s\\n\\<\\<\\<(%u,%u,%u),(%u,%u,%u),%u\\>\\>\\>", name ? name : "",
                p.gridDimX, p.gridDimY, p.gridDimZ, p.blockDimX, p.blockDimY, p.blockDimZ,
                p.sharedMemBytes);
    }
    fputs("\"", file);
}

static void print_graph(FILE *file, const struct soft_graph *graph, unsigned flags)
{
    fprintf(file, "subgraph cluster_%llu {\nlabel=\"graph_%llu\" graph[style=\"dashed\"];\n",
            (unsigned long long)graph->id, (unsigned long long)graph->id);
    for (size_t i = 0; i < graph->n; i++)
        graph->nodes[i]->index = i;
    for (size_t i = 0; i < graph->n; i++) {
        const struct soft_node *node = graph->nodes[i];
        fprintf(file, "\"graph_%llu_node_%zu\" [shape=\"record\" ", (unsigned long long)graph->id,
                i);
        print_label(file, node, flags);
        fputs("];\n", file);
        for (size_t k = 0; k < node->to.n; k++)
            fprintf(file, "\"graph_%llu_node_%zu\" -> \"graph_%llu_node_%zu\";\n",
                    (unsigned long long)graph->id, i, (unsigned long long)graph->id,
                    node->to.at[k].node->index);
        for (size_t k = 0; k < node->ngraphs; k++)
            print_graph(file, node->graphs[k], flags);
    }
    fputs("}\n", file);
}

SOFT_API CUresult cuGraphDebugDotPrint(CUgraph handle, const char *path, unsigned flags)
{
    CUresult ready = soft_ready();
    if (ready != CUDA_SUCCESS)
        return ready;
    SOFT_GRAPHS_LOCKED;
    const struct soft_graph *graph = soft_graph_get(handle);
    if (!graph || !path)
        return CUDA_ERROR_INVALID_VALUE;
    FILE *file = fopen(path, "we");
    if (!file)
        return CUDA_ERROR_OPERATING_SYSTEM;
    fputs("digraph dot {\n", file);
    print_graph(file, graph, flags);
    fputs("}\n", file);
    return fclose(file) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}
