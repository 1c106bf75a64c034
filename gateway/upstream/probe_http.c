/* A health check that asks for a page: its status decides, its body is not read. Called by probe.c
 * with the connection and its input. */
#include "proto/http_write.h"
#include "upstream/probe_internal.h"

static void begin(struct probe *probe)
{
    struct buffer request = {0};
    enum weir_err err = probe_write_request(probe, &request);
    if (err == WEIR_OK) {
        err = http_write_field(&request, SPAN("Connection"), SPAN("close"));
    }
    if (err == WEIR_OK) {
        err = http_write_end(&request);
    }
    if (err != WEIR_OK) {
        probe_bad(probe, "the request cannot be written: %s", weir_err_name(err));
    } else {
        probe_send(probe, buffer_span(&request));
    }
    buffer_free(&request);
}

static void input(struct probe *probe)
{
    struct http_response response;
    size_t consumed = 0;
    if (probe_parse(probe, &response, &consumed) != WEIR_OK) {
        return;
    }
    if (response.status < probe->config->status_from ||
        response.status > probe->config->status_to) {
        probe_bad(probe, "it answers with status %u", response.status);
        return;
    }
    probe_good(probe);
}

const struct probe_kind probe_http = {.begin = begin, .input = input};
