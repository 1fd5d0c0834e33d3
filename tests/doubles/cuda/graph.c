/*
 * Graphs. An executable graph is a copy of a graph, a launch a copy of the executable graph: what is updated later does not
 * reach it. An update may change what a node does, within CUDA's rules, never the nodes and what depends on what.
 */
#include "double.h"

#include <stdlib.h>
#include <string.h>

cd_graph *cd_graph_copy(const cd_graph *g) {
    cd_graph *c = cd_alloc_or_die(sizeof *c);
    *c = (cd_graph){.n = g->n, .ctx = g->ctx, .left = g->n};
    c->node = cd_alloc_or_die((size_t)g->n * sizeof *c->node);
    c->done = cd_alloc_or_die((size_t)g->n);
    for (int i = 0; i < g->n; i++) {
        cd_node *node = cd_alloc_or_die(sizeof *node);
        node->work = cd_work_copy(&g->node[i]->work);
        cd_set_join(&node->after, &g->node[i]->after);
        node->origin = g->node[i]->handle ? g->node[i]->handle : g->node[i]->origin;
        c->node[i] = node;
    }
    return c;
}

void cd_graph_drop(cd_graph *g) {
    for (int i = 0; i < g->n; i++) {
        if (g->node[i]->handle) {
            cd_handle_end(CD_NODE, g->node[i]->handle);
        }
        cd_work_drop(&g->node[i]->work);
        cd_set_drop(&g->node[i]->after);
        free(g->node[i]);
    }
    free(g->node);
    free(g->done);
    free(g);
}

int cd_graph_ready(const cd_graph *g) {
    int chosen = -1;
    uint32_t n = 0;
    for (int i = 0; i < g->n; i++) {
        bool may = !g->done[i];
        for (int k = 0; k < g->node[i]->after.n; k++) {
            may = may && g->done[g->node[i]->after.node[k]];
        }
        if (may && cd_random(++n) == 0) {
            chosen = i;
        }
    }
    return chosen;
}

CUresult cuGraphInstantiate(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_graph *g = cd_handle_get(CD_GRAPH, graph);
    if (!g || flags != 0) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no graph, or flags the double does not know");
    }
    cd_graph *x = cd_graph_copy(g);
    x->handle = cd_handle_new(CD_GRAPH_EXEC, x);
    *out = x->handle;
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_graph *x = cd_handle_get(CD_GRAPH_EXEC, exec);
    cd_stream *s = cd_stream_get(stream);
    if (!x || !s || x->ctx != s->ctx) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no executable graph, or not of this context");
    }
    return cd_push(s, &(cd_work){.what = CD_GRAPH_LAUNCH, .graph = cd_graph_copy(x)});
}

CUresult cuGraphDestroy(CUgraph graph) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_graph *g = cd_handle_get(CD_GRAPH, graph);
    if (!g) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no graph");
    }
    cd_graph_drop(g);
    cd_handle_end(CD_GRAPH, graph);
    return CD_LATE;
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
    CD_ENTER(CD_NEEDS_CONTEXT | CD_RELEASES);
    cd_graph *x = cd_handle_get(CD_GRAPH_EXEC, exec);
    if (!x) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no executable graph");
    }
    cd_graph_drop(x);
    cd_handle_end(CD_GRAPH_EXEC, exec);
    return CD_LATE;
}

/* ---- updates ------------------------------------------------------------------------------------------------------------ */

static CUgraphNodeType type_of(const cd_work *w) {
    switch (w->what) {
    case CD_KERNEL:
    case CD_PRODUCT: /* of cuBLAS: a kernel of its own */
        return CU_GRAPH_NODE_TYPE_KERNEL;
    case CD_FILL:
        return CU_GRAPH_NODE_TYPE_MEMSET;
    case CD_COPY:
    case CD_COPY_IN:
    case CD_COPY_OUT:
        return CU_GRAPH_NODE_TYPE_MEMCPY;
    default:
        return CU_GRAPH_NODE_TYPE_EMPTY;
    }
}

static bool same_set(const cd_set *a, const cd_set *b) {
    return a->n == b->n && (a->n == 0 || memcmp(a->node, b->node, (size_t)a->n * sizeof *a->node) == 0);
}

/* Whether an executable node may become the other: kernels may change, copies keep their kind and size. */
static CUgraphExecUpdateResult compare(const cd_node *old, const cd_node *new_one) {
    const cd_work *a = &old->work, *b = &new_one->work;
    if (!same_set(&old->after, &new_one->after)) {
        return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    }
    if (type_of(a) != type_of(b)) {
        return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
    }
    if (a->what != b->what) {
        return a->what == CD_KERNEL || a->what == CD_PRODUCT ? CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE
                                                             : CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    }
    bool copies = type_of(a) == CU_GRAPH_NODE_TYPE_MEMCPY;
    return copies && a->bytes != b->bytes ? CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED
                                          : CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    cd_graph *x = cd_handle_get(CD_GRAPH_EXEC, exec);
    const cd_graph *g = cd_handle_get(CD_GRAPH, graph);
    *info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_ERROR};
    if (!x || !g || x->ctx != g->ctx) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no graphs, or not of one context");
    }
    info->result = x->n == g->n ? CU_GRAPH_EXEC_UPDATE_SUCCESS : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (int i = 0; i < g->n && info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS; i++) {
        info->result = compare(x->node[i], g->node[i]);
        info->errorNode = info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? NULL : g->node[i]->handle;
    }
    if (info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
        return cd_refuse(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "update result %d", (int)info->result);
    }
    for (int i = 0; i < g->n; i++) {
        cd_work_drop(&x->node[i]->work);
        x->node[i]->work = cd_work_copy(&g->node[i]->work);
    }
    return CUDA_SUCCESS;
}

/* The node is one of the graph that was instantiated. The kernel may be another one, but of the same context. */
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *params) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_graph *x = cd_handle_get(CD_GRAPH_EXEC, exec);
    cd_node *found = NULL;
    for (int i = 0; x && i < x->n; i++) {
        found = x->node[i]->origin == node ? x->node[i] : found;
    }
    if (!found || found->work.what != CD_KERNEL || params->extra) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no executable graph, or the node is no kernel of it");
    }
    const unsigned grid[] = {params->gridDimX, params->gridDimY, params->gridDimZ};
    const unsigned block[] = {params->blockDimX, params->blockDimY, params->blockDimZ};
    cd_work w;
    CUresult code = cd_kernel_work(x->ctx, params->func, grid, block, params->sharedMemBytes, params->kernelParams, &w);
    if (code == CUDA_SUCCESS) {
        cd_work_drop(&found->work);
        found->work = w;
    }
    return code;
}

CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *n) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_graph *g = cd_handle_get(CD_GRAPH, graph);
    if (!g) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no graph");
    }
    for (size_t i = 0; nodes && i < *n; i++) {
        nodes[i] = i < (size_t)g->n ? g->node[i]->handle : NULL;
    }
    *n = !nodes || *n > (size_t)g->n ? (size_t)g->n : *n;
    return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type) {
    CD_ENTER(CD_NEEDS_CONTEXT);
    const cd_node *n = cd_handle_get(CD_NODE, node);
    if (!n) {
        return cd_refuse(CUDA_ERROR_INVALID_VALUE, "no node");
    }
    *type = type_of(&n->work);
    return CUDA_SUCCESS;
}
