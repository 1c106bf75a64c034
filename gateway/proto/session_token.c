/* Two forms of one question: by which name will this client come back? The answer is wanted while
 * the body still streams through, so it is given at the first byte where it is certain. Called by
 * handlers/proxy with the first bytes of an answer's body. It never allocates, and believes nothing
 * that a real server does not send: it would lead clients to the wrong backend. */
#include "proto/session_token.h"

#include <string.h>

#include "proto/json_reader.h"

_Static_assert((int)SESSION_TOKEN_MAX == (int)JSON_WISH_MAX, "a token fills a wish");

static struct span worth_looking_at(struct span body)
{
    return (struct span){body.data,
                         body.size < SESSION_TOKEN_BODY_MAX ? body.size : SESSION_TOKEN_BODY_MAX};
}

/* What has not come within SESSION_TOKEN_BODY_MAX bytes does not come. */
static enum weir_err verdict(enum weir_err err, struct span body)
{
    return err == WEIR_AGAIN && body.size >= SESSION_TOKEN_BODY_MAX ? WEIR_EINVAL : err;
}

/* Steps into the string of a JSONP answer: ___eio[INDEX]("…"); */
static enum weir_err open_jsonp(struct json_reader *r)
{
    int c = 0;
    enum weir_err err = json_reader_words(r, json_reader_raw, "___eio[");
    if (err == WEIR_OK) {
        err = json_reader_digits(r, json_reader_raw, &c);
    }
    if (err == WEIR_OK) {
        err = c == ']' ? json_reader_words(r, json_reader_raw, "(\"") : WEIR_EINVAL;
    }
    r->is_quoted = true;
    return err;
}

/* Steps behind the packet's type: `0{`, or `97:0{` with the length that Engine.IO 3 puts before it.
 * A length cannot start with 0, and has a colon behind it, so one byte tells them apart. */
static enum weir_err open_packet(struct json_reader *r)
{
    struct json_reader before = *r;
    int c = json_reader_next(r);
    if (c >= '1' && c <= '9') {
        *r = before;
        enum weir_err err = json_reader_digits(r, json_reader_next, &c);
        if (err != WEIR_OK) {
            return err;
        }
        if (c != ':') {
            return WEIR_EINVAL;
        }
        c = json_reader_next(r);
    }
    if (c != '0') {
        return json_reader_stopped(c);
    }
    return json_reader_words(r, json_reader_next, "{");
}

enum weir_err session_token_engine_io(struct span body, char out[SESSION_TOKEN_MAX], size_t *size)
{
    char token[SESSION_TOKEN_MAX];
    struct json_wish sid = {.name = SPAN("sid"), .out = token};
    struct json_reader r = {.rest = worth_looking_at(body)};
    enum weir_err err = WEIR_OK;
    if (body.size > 0 && body.data[0] == '_') {
        err = open_jsonp(&r);
    }
    if (err == WEIR_OK) {
        err = open_packet(&r);
    }
    if (err == WEIR_OK) {
        err = json_reader_object(&r, &sid, 1);
    }
    if (err != WEIR_OK) {
        return verdict(err, body);
    }
    if (!sid.found) {
        return WEIR_EINVAL;
    }
    memcpy(out, token, sid.size);
    *size = sid.size;
    return WEIR_OK;
}

enum weir_err session_token_signalr(struct span body, char out[SESSION_TOKEN_MAX], size_t *size)
{
    char token[SESSION_TOKEN_MAX];
    char id[SESSION_TOKEN_MAX];
    struct json_wish wishes[] = {{.name = SPAN("connectionToken"), .out = token},
                                 {.name = SPAN("connectionId"), .out = id}};
    struct json_reader r = {.rest = worth_looking_at(body)};
    int c = json_reader_past_blanks(&r);
    enum weir_err err = c == '{' ? json_reader_object(&r, wishes, 2) : json_reader_stopped(c);
    if (err != WEIR_OK) {
        return verdict(err, body);
    }
    const struct json_wish *best = wishes[0].found ? &wishes[0] : &wishes[1];
    if (!best->found) {
        return WEIR_EINVAL;
    }
    memcpy(out, best->out, best->size);
    *size = best->size;
    return WEIR_OK;
}
