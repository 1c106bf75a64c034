/* Questions that both halves of affinity ask of a request. One thread: the worker's. */
#ifndef WEIR_HANDLERS_PROXY_AFFINITY_INTERNAL_H
#define WEIR_HANDLERS_PROXY_AFFINITY_INTERNAL_H

#include "base/buffer.h"
#include "base/span.h"
#include "config/config.h"
#include "session/request.h"

/* The first value of a query parameter, decoded, appended to `scratch` and borrowed from it until
 * its next change; data NULL where there is none, or memory is out. */
struct span affinity_query(const struct weir_request *request, struct span name,
                           struct buffer *scratch);

/* The parameter that carries a learned id. */
struct span affinity_parameter(enum config_learn learn);

#endif
