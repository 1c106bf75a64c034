/* A state machine over the bytes between chunks; the chunks themselves are never looked at. Each
 * state says which bytes may come, by the grammar of RFC 9112, section 7.1, and everything else
 * ends the body: lenient chunk parsers are what request smuggling lives on. Called by session/ for
 * request bodies and by the proxy for responses. It never copies, never allocates, never lets an
 * extension through, and never knows what a trailer field means. */
#include "proto/http_chunked.h"

#include <string.h>

#include "proto/http_chars.h"

enum {
    SIZE_DIGITS_MAX = 16
};

enum state {
    STATE_SIZE,       /* 1*HEXDIG */
    STATE_BEFORE_EXT, /* BWS, then ";" */
    STATE_EXT_START,  /* BWS, then the first byte of a name */
    STATE_EXT_NAME,
    STATE_AFTER_NAME,  /* BWS, then "=" or ";" */
    STATE_VALUE_START, /* BWS, then a token or a quote */
    STATE_VALUE_TOKEN,
    STATE_VALUE_QUOTED,
    STATE_VALUE_ESCAPE, /* behind a backslash */
    STATE_AFTER_QUOTED,
    STATE_SIZE_LF,
    STATE_DATA,
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILER_START,
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_END_LF,
    STATE_DONE
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Moves to `next` and says that nothing is wrong. */
static const char *go(struct http_chunked *chunked, enum state next)
{
    chunked->state = (uint8_t)next;
    return NULL;
}

static const char *step_size(struct http_chunked *chunked, uint8_t byte)
{
    int digit = http_chars_hex(byte);
    if (digit >= 0) {
        /* The bound on digits ends endless leading zeros; the one on the value keeps sums of sizes
         * within signed 64 bits (RFC 9112, section 7.1: recipients must foresee overflow). */
        if (chunked->digits == SIZE_DIGITS_MAX || chunked->remaining > (uint64_t)INT64_MAX >> 4) {
            return "a chunk size that is too large";
        }
        chunked->digits++;
        chunked->remaining = chunked->remaining << 4 | (uint64_t)digit;
        return NULL;
    }
    if (chunked->digits == 0) {
        return "a chunk size that is not hexadecimal";
    }
    if (byte == '\r') {
        return go(chunked, STATE_SIZE_LF);
    }
    if (byte == ';') {
        return go(chunked, STATE_EXT_START);
    }
    return is_blank(byte) ? go(chunked, STATE_BEFORE_EXT) : "a malformed chunk size";
}

/* What may follow a name or a value: the next extension or the line's end. */
static const char *step_end_of_value(struct http_chunked *chunked, uint8_t byte)
{
    if (byte == '\r') {
        return go(chunked, STATE_SIZE_LF);
    }
    if (byte == ';') {
        return go(chunked, STATE_EXT_START);
    }
    return is_blank(byte) ? go(chunked, STATE_BEFORE_EXT) : "a malformed chunk extension";
}

/* RFC 9112, section 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ). */
static const char *step_name(struct http_chunked *chunked, uint8_t byte)
{
    bool is_token = (http_chars[byte] & HTTP_CHAR_TOKEN) != 0;
    switch ((enum state)chunked->state) {
    case STATE_BEFORE_EXT:
        if (is_blank(byte)) {
            return NULL;
        }
        return byte == ';' ? go(chunked, STATE_EXT_START) : "whitespace behind a chunk size";
    case STATE_EXT_START:
        if (is_blank(byte)) {
            return NULL;
        }
        return is_token ? go(chunked, STATE_EXT_NAME) : "a chunk extension without a name";
    case STATE_EXT_NAME:
        if (is_token) {
            return NULL;
        }
        if (byte == '\r') {
            return go(chunked, STATE_SIZE_LF);
        }
        break;
    default:
        if (is_blank(byte)) {
            return NULL;
        }
        break;
    }
    /* behind a name */
    if (byte == '=') {
        return go(chunked, STATE_VALUE_START);
    }
    if (byte == ';') {
        return go(chunked, STATE_EXT_START);
    }
    return is_blank(byte) ? go(chunked, STATE_AFTER_NAME) : "a malformed chunk extension";
}

static const char *step_value(struct http_chunked *chunked, uint8_t byte)
{
    uint8_t classes = http_chars[byte];
    switch ((enum state)chunked->state) {
    case STATE_VALUE_START:
        if (is_blank(byte)) {
            return NULL;
        }
        if (byte == '"') {
            return go(chunked, STATE_VALUE_QUOTED);
        }
        return (classes & HTTP_CHAR_TOKEN) != 0 ? go(chunked, STATE_VALUE_TOKEN)
                                                : "a chunk extension without a value";
    case STATE_VALUE_TOKEN:
        return (classes & HTTP_CHAR_TOKEN) != 0 ? NULL : step_end_of_value(chunked, byte);
    case STATE_VALUE_QUOTED:
        if (byte == '"') {
            return go(chunked, STATE_AFTER_QUOTED);
        }
        if (byte == '\\') {
            return go(chunked, STATE_VALUE_ESCAPE);
        }
        return (classes & HTTP_CHAR_QUOTED) != 0 ? NULL
                                                 : "a control character in a chunk extension";
    case STATE_VALUE_ESCAPE:
        return (classes & HTTP_CHAR_VALUE) != 0 ? go(chunked, STATE_VALUE_QUOTED)
                                                : "a control character in a chunk extension";
    default:
        return step_end_of_value(chunked, byte);
    }
}

/* The line feeds and carriage returns at fixed places: RFC 9112, section 7.1, knows CRLF only. */
static const char *step_line_end(struct http_chunked *chunked, uint8_t byte)
{
    switch ((enum state)chunked->state) {
    case STATE_SIZE_LF:
        if (byte != '\n') {
            return "a carriage return without line feed behind a chunk size";
        }
        return go(chunked, chunked->remaining > 0 ? STATE_DATA : STATE_TRAILER_START);
    case STATE_DATA_CR:
        return byte == '\r' ? go(chunked, STATE_DATA_LF) : "chunk data longer than its size";
    default:
        chunked->digits = 0;
        return byte == '\n' ? go(chunked, STATE_SIZE)
                            : "a carriage return without line feed behind chunk data";
    }
}

/* RFC 9112, section 7.1.2: field lines as in a head, or the empty line. */
static const char *step_trailer(struct http_chunked *chunked, uint8_t byte)
{
    uint8_t classes = http_chars[byte];
    switch ((enum state)chunked->state) {
    case STATE_TRAILER_START:
        if (byte == '\r') {
            return go(chunked, STATE_END_LF);
        }
        return (classes & HTTP_CHAR_TOKEN) != 0 ? go(chunked, STATE_TRAILER_NAME)
                                                : "a malformed trailer";
    case STATE_TRAILER_NAME:
        if (byte == ':') {
            return go(chunked, STATE_TRAILER_VALUE);
        }
        return (classes & HTTP_CHAR_TOKEN) != 0 ? NULL : "a trailer name that is not a token";
    case STATE_TRAILER_VALUE:
        if (byte == '\r') {
            return go(chunked, STATE_TRAILER_LF);
        }
        return (classes & HTTP_CHAR_VALUE) != 0 ? NULL : "a control character in a trailer";
    case STATE_TRAILER_LF:
        return byte == '\n' ? go(chunked, STATE_TRAILER_START)
                            : "a carriage return without line feed in a trailer";
    default:
        return byte == '\n' ? go(chunked, STATE_DONE)
                            : "a carriage return without line feed at the end of the trailers";
    }
}

static const char *step(struct http_chunked *chunked, uint8_t byte)
{
    enum state state = (enum state)chunked->state;
    if (state == STATE_SIZE) {
        return step_size(chunked, byte);
    }
    if (state <= STATE_AFTER_NAME) {
        return step_name(chunked, byte);
    }
    if (state <= STATE_AFTER_QUOTED) {
        return step_value(chunked, byte);
    }
    return state <= STATE_DATA_LF ? step_line_end(chunked, byte) : step_trailer(chunked, byte);
}

/* Counts a byte of an extension or a trailer; NULL while within the limits. */
static const char *count_byte(struct http_chunked *chunked)
{
    enum state state = (enum state)chunked->state;
    if (state >= STATE_BEFORE_EXT && state <= STATE_AFTER_QUOTED) {
        chunked->extension_bytes++;
        return chunked->extension_bytes > HTTP_CHUNK_EXTENSIONS_MAX
                   ? "chunk extensions over their limit"
                   : NULL;
    }
    if (state >= STATE_TRAILER_START && state < STATE_DONE) {
        chunked->trailer_bytes++;
        return chunked->trailer_bytes > HTTP_CHUNK_TRAILERS_MAX ? "trailers over their limit"
                                                                : NULL;
    }
    return NULL;
}

static struct span take_data(struct http_chunked *chunked, const uint8_t *bytes, size_t size)
{
    size_t taken = chunked->remaining < size ? (size_t)chunked->remaining : size;
    chunked->remaining -= taken;
    if (chunked->remaining == 0) {
        chunked->state = STATE_DATA_CR;
    }
    return (struct span){bytes, taken};
}

/* Whether `byte` is of a field line in the trailer section, and not of the empty line behind. */
static bool is_of_trailer_line(const struct http_chunked *chunked, uint8_t byte)
{
    enum state state = (enum state)chunked->state;
    return state == STATE_TRAILER_START ? byte != '\r'
                                        : state > STATE_TRAILER_START && state < STATE_END_LF;
}

/* Steps through what is not chunk data, up to the empty line if there are trailer lines before it:
 * they are given first. `*lines` counts their bytes, which end at `*at`. */
static enum weir_err step_all(struct http_chunked *chunked, const uint8_t *bytes, size_t size,
                              size_t *at, size_t *lines, const char **why)
{
    while (*at < size && chunked->state != STATE_DATA && chunked->state != STATE_DONE) {
        bool is_line = is_of_trailer_line(chunked, bytes[*at]);
        if (*lines > 0 && !is_line) {
            break;
        }
        const char *limit = count_byte(chunked);
        const char *fault = limit == NULL ? step(chunked, bytes[*at]) : limit;
        if (fault != NULL) {
            *why = fault;
            return limit != NULL ? WEIR_ELIMIT : WEIR_EPROTO;
        }
        *at += 1;
        *lines += is_line;
    }
    return WEIR_OK;
}

enum weir_err http_chunked_next(struct http_chunked *chunked, const uint8_t *bytes, size_t size,
                                size_t *consumed, struct span *data, const char **why)
{
    size_t at = 0;
    size_t lines = 0;
    enum weir_err err = step_all(chunked, bytes, size, &at, &lines, why);
    if (err != WEIR_OK) {
        return err;
    }
    chunked->is_trailer = lines > 0;
    if (lines > 0) {
        *data = (struct span){bytes + at - lines, lines};
    } else if (chunked->state == STATE_DONE) {
        chunked->done = true;
        *data = (struct span){bytes, 0};
    } else if (at == size) {
        *consumed = at;
        return WEIR_AGAIN;
    } else {
        *data = take_data(chunked, bytes + at, size - at);
        at += data->size;
    }
    *consumed = at;
    return WEIR_OK;
}
