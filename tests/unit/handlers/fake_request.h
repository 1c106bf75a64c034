/* A request that a test writes by hand, and that records how a handler answers it: stands in for
 * session/request.c and net/loop.c's timers, so a handler runs without sockets. */
#ifndef WEIR_TESTS_FAKE_REQUEST_H
#define WEIR_TESTS_FAKE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "net/loop.h"
#include "session/request.h"
#include "session/worker_access.h"

enum {
    FAKE_FIELDS = 16
};

struct weir_request {
    const char *method;
    const char *path;
    const char *query;
    const char *route;
    const char *headers[2 * FAKE_FIELDS]; /* names and values in turn, NULL at the end */
    void *seat;

    unsigned full_after;   /* body parts until one says "full"; 0: never */
    unsigned closed_after; /* body parts until the client is gone; 0: never */
    enum weir_err refuse;  /* what reply_start answers, if not WEIR_OK */

    unsigned status;
    char fields[2048]; /* "Name: value\n" for each */
    uint64_t length;   /* promised */
    struct buffer body;
    unsigned parts;
    bool is_ended;
};

/* The one timer that is pending. */
struct loop_timer {
    loop_timer_fn fn;
    void *context;
};
static struct loop_timer *fake_timer;
static bool fake_timers_fail;

struct loop *worker_loop(struct weir_worker *worker)
{
    (void)worker;
    return NULL;
}

struct loop_timer *loop_timer_new(struct loop *loop, uint64_t delay_ms, bool repeats,
                                  loop_timer_fn fn, void *context)
{
    (void)loop;
    assert_int_equal(delay_ms, 0);
    assert_false(repeats);
    assert_null(fake_timer);
    if (fake_timers_fail) {
        return NULL;
    }
    fake_timer = calloc(1, sizeof(*fake_timer));
    assert_non_null(fake_timer);
    *fake_timer = (struct loop_timer){fn, context};
    return fake_timer;
}

void loop_timer_free(struct loop_timer **timer)
{
    if (*timer != NULL) {
        assert_ptr_equal(*timer, fake_timer);
        free(*timer);
        *timer = NULL;
        fake_timer = NULL;
    }
}

struct span request_method(const struct weir_request *request)
{
    return span_of(request->method);
}

struct span request_path(const struct weir_request *request)
{
    return span_of(request->path);
}

struct span request_query(const struct weir_request *request)
{
    return span_of(request->query);
}

const char *request_route(const struct weir_request *request)
{
    return request->route;
}

size_t request_header_count(const struct weir_request *request)
{
    size_t count = 0;
    while (request->headers[2 * count] != NULL) {
        count++;
    }
    return count;
}

struct span request_header_name(const struct weir_request *request, size_t index)
{
    return span_of(request->headers[2 * index]);
}

struct span request_header_value(const struct weir_request *request, size_t index)
{
    return span_of(request->headers[2 * index + 1]);
}

void **request_seat(struct weir_request *request, unsigned seat)
{
    assert_int_equal(seat, 3);
    return &request->seat;
}

enum weir_err request_reply_start(struct weir_request *request, unsigned status,
                                  const struct reply_field *fields, size_t count, uint64_t length)
{
    if (request->refuse != WEIR_OK) {
        return request->refuse;
    }
    assert_int_equal(request->status, 0);
    request->status = status;
    request->length = length;
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(request->fields);
        snprintf(request->fields + used, sizeof(request->fields) - used, "%.*s: %.*s\n",
                 SPAN_ARGS(fields[i].name), SPAN_ARGS(fields[i].value));
    }
    return WEIR_OK;
}

enum weir_err request_reply_body(struct weir_request *request, struct span bytes, bool *full)
{
    assert_int_not_equal(request->status, 0);
    assert_false(request->is_ended);
    request->parts++;
    if (request->parts == request->closed_after) {
        return WEIR_ECLOSED;
    }
    assert_int_equal(buffer_append(&request->body, bytes), WEIR_OK);
    *full = request->full_after > 0 && request->parts % request->full_after == 0;
    return WEIR_OK;
}

void request_reply_end(struct weir_request *request)
{
    assert_false(request->is_ended);
    request->is_ended = true;
}

enum weir_err request_reply(struct weir_request *request, unsigned status,
                            const struct reply_field *fields, size_t count, struct span body)
{
    enum weir_err err = request_reply_start(request, status, fields, count, body.size);
    if (err == WEIR_OK) {
        assert_int_equal(buffer_append(&request->body, body), WEIR_OK);
        request_reply_end(request);
    }
    return err;
}

enum weir_err request_reply_error(struct weir_request *request, unsigned status, const char *why)
{
    assert_true(strlen(why) > 0);
    return request_reply(request, status, NULL, 0, span_of(why));
}

#endif
