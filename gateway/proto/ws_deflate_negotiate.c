/* Who may compress how: the parameters of permessage-deflate (RFC 7692, section 7.1), from the
 * server's side and from the client's, over one parser. zlib cannot deflate with a window of 256
 * bytes (it takes 512), so what limits our own window to 8 bits is declined; a peer that limits its
 * own to 8 is inflated with 9, which any window fits in. Called by session/ at an upgrade and by
 * ws_client.c. It never looks at a message. */
#include "proto/ws_deflate.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

enum {
    BITS_MIN = 8,
    BITS_ZLIB_MIN = 9,
    BITS_MAX = 15
};

/* One offer as the client wrote it, or the server's answer; 0 bits: not mentioned. */
struct offer {
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    bool has_client_max_window_bits; /* with or without a value */
    bool has_client_bits_value;
    uint8_t server_max_window_bits;
    uint8_t client_max_window_bits; /* BITS_MAX where it has no value */
};

/* Takes what stands before the next semicolon off `*rest`, trimmed. False when nothing is left. */
static bool next_part(struct span *rest, bool *is_last, struct span *part)
{
    bool quoted = false;
    size_t end = 0;
    if (*is_last) {
        return false;
    }
    for (; end < rest->size && (quoted || rest->data[end] != ';'); end++) {
        if (rest->data[end] == '"') {
            quoted = !quoted;
        }
    }
    *is_last = end == rest->size;
    *part = span_trim((struct span){rest->data, end});
    *rest = span_from(*rest, end + 1);
    return true;
}

/* 8..15 without leading zeros (RFC 7692, section 7.1.2), bare or quoted (RFC 6455, section 9.1); 0
 * for anything else. */
static uint8_t window_bits(struct span value)
{
    uint64_t bits = 0;
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"') {
        value = (struct span){value.data + 1, value.size - 2};
    }
    if (value.size == 0 || value.data[0] == '0' || !span_to_u64(value, &bits)) {
        return 0;
    }
    return bits >= BITS_MIN && bits <= BITS_MAX ? (uint8_t)bits : 0;
}

/* A parameter without a value that may stand once. */
static bool take_flag(bool has_value, bool *flag)
{
    bool is_new = !*flag;
    *flag = true;
    return is_new && !has_value;
}

/* Reads one parameter; false where RFC 7692, section 7.1 says to decline the offer: unknown, twice,
 * or with a wrong value. */
static bool take_parameter(struct span part, struct offer *offer)
{
    size_t equals = span_find(part, '=');
    bool has_value = equals < part.size;
    struct span name = span_trim((struct span){part.data, equals});
    struct span value = span_trim(span_from(part, equals + 1));
    if (span_equal(name, SPAN("server_no_context_takeover"))) {
        return take_flag(has_value, &offer->server_no_context_takeover);
    }
    if (span_equal(name, SPAN("client_no_context_takeover"))) {
        return take_flag(has_value, &offer->client_no_context_takeover);
    }
    if (span_equal(name, SPAN("server_max_window_bits")) && offer->server_max_window_bits == 0) {
        offer->server_max_window_bits = window_bits(value);
        return offer->server_max_window_bits != 0;
    }
    if (span_equal(name, SPAN("client_max_window_bits")) && !offer->has_client_max_window_bits) {
        offer->has_client_max_window_bits = true;
        offer->has_client_bits_value = has_value;
        offer->client_max_window_bits = has_value ? window_bits(value) : BITS_MAX;
        return offer->client_max_window_bits != 0;
    }
    return false;
}

/* Reads one item of the list, an offer or an answer to one: both have the same grammar. */
static bool parse_offer(struct span text, struct offer *offer)
{
    struct span part;
    bool is_last = false;
    *offer = (struct offer){0};
    if (!next_part(&text, &is_last, &part) || !span_equal(part, SPAN("permessage-deflate"))) {
        return false;
    }
    while (next_part(&text, &is_last, &part)) {
        if (!take_parameter(part, offer)) {
            return false;
        }
    }
    return true;
}

static uint8_t lesser(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static void add(char response[WS_DEFLATE_RESPONSE_BYTES], const char *text)
{
    size_t used = strlen(response);
    WEIR_CHECK(used + strlen(text) < WS_DEFLATE_RESPONSE_BYTES);
    memcpy(response + used, text, strlen(text) + 1);
}

static void add_bits(char response[WS_DEFLATE_RESPONSE_BYTES], const char *name, unsigned bits)
{
    char text[48];
    (void)snprintf(text, sizeof text, "; %s=%u", name, bits);
    add(response, text);
}

static void agree(const struct offer *offer, const struct ws_deflate_params *ours,
                  struct ws_deflate_params *agreed, char response[WS_DEFLATE_RESPONSE_BYTES])
{
    uint8_t client_bits = BITS_MAX;
    response[0] = 0;
    add(response, "permessage-deflate");
    /* RFC 7692, section 7.1.1: either may be answered without having been offered, and what the
     * client offers to forget it lets us forget too. */
    agreed->server_no_context_takeover =
        ours->server_no_context_takeover || offer->server_no_context_takeover;
    agreed->client_no_context_takeover =
        ours->client_no_context_takeover || offer->client_no_context_takeover;
    if (agreed->server_no_context_takeover) {
        add(response, "; server_no_context_takeover");
    }
    if (agreed->client_no_context_takeover) {
        add(response, "; client_no_context_takeover");
    }
    /* RFC 7692, section 7.1.2.1: an offered limit must be answered by one that is not larger. */
    agreed->server_max_window_bits = ours->server_max_window_bits;
    if (offer->server_max_window_bits != 0) {
        agreed->server_max_window_bits =
            lesser(ours->server_max_window_bits, offer->server_max_window_bits);
    }
    if (offer->server_max_window_bits != 0 || agreed->server_max_window_bits < BITS_MAX) {
        add_bits(response, "server_max_window_bits", agreed->server_max_window_bits);
    }
    /* RFC 7692, section 7.1.2.2: only who offers the parameter can be limited by it. */
    if (offer->has_client_max_window_bits) {
        client_bits = lesser(ours->client_max_window_bits, offer->client_max_window_bits);
    }
    if (client_bits < BITS_MAX) {
        add_bits(response, "client_max_window_bits", client_bits);
    }
    agreed->client_max_window_bits = client_bits < BITS_ZLIB_MIN ? BITS_ZLIB_MIN : client_bits;
}

bool ws_deflate_negotiate(struct span offers, const struct ws_deflate_params *ours,
                          struct ws_deflate_params *agreed,
                          char response[WS_DEFLATE_RESPONSE_BYTES])
{
    struct span text;
    struct offer offer;
    while (span_list_next(&offers, &text)) {
        /* A window of 8 bits is what zlib cannot deflate with. */
        if (parse_offer(text, &offer) && offer.server_max_window_bits != BITS_MIN) {
            agree(&offer, ours, agreed, response);
            return true;
        }
    }
    return false;
}

/* --- the client's side --- */

enum weir_err ws_deflate_offer(struct buffer *out, const struct ws_deflate_params *wish)
{
    char text[WS_DEFLATE_RESPONSE_BYTES] = "permessage-deflate";
    if (wish->server_no_context_takeover) {
        add(text, "; server_no_context_takeover");
    }
    if (wish->client_no_context_takeover) {
        add(text, "; client_no_context_takeover");
    }
    if (wish->server_max_window_bits < BITS_MAX) {
        add_bits(text, "server_max_window_bits", wish->server_max_window_bits);
    }
    if (wish->client_max_window_bits < BITS_MAX) {
        add_bits(text, "client_max_window_bits", wish->client_max_window_bits);
    }
    return buffer_append(out, span_of(text));
}

/* RFC 7692, section 7.1: what was asked of the server it must have granted, by saying so. */
static bool grants(const struct offer *answer, const struct ws_deflate_params *wish)
{
    if (wish->server_no_context_takeover && !answer->server_no_context_takeover) {
        return false; /* section 7.1.1.1 */
    }
    /* Section 7.1.2.1: the same or a smaller value. */
    return wish->server_max_window_bits == BITS_MAX ||
           (answer->server_max_window_bits != 0 &&
            answer->server_max_window_bits <= wish->server_max_window_bits);
}

/* Section 7.1.2.2: with a value, at most ours, and only where we offered to be limited. */
static bool may_limit_us(const struct offer *answer, const struct ws_deflate_params *wish)
{
    if (!answer->has_client_max_window_bits) {
        return true;
    }
    return answer->has_client_bits_value && wish->client_max_window_bits < BITS_MAX &&
           answer->client_max_window_bits >= BITS_ZLIB_MIN &&
           answer->client_max_window_bits <= wish->client_max_window_bits;
}

bool ws_deflate_accept(struct span answer, const struct ws_deflate_params *wish,
                       struct ws_deflate_params *agreed)
{
    struct span text;
    struct span another;
    struct offer parsed;
    /* Section 5.1: one offer was made, so one element can answer it. */
    if (!span_list_next(&answer, &text) || span_list_next(&answer, &another) ||
        !parse_offer(text, &parsed) || !grants(&parsed, wish) || !may_limit_us(&parsed, wish)) {
        return false;
    }
    agreed->server_no_context_takeover = parsed.server_no_context_takeover;
    /* Sections 7.1.1.2 and 7.1.2.2: what we offered of ourselves holds even where the answer does
     * not say so. */
    agreed->client_no_context_takeover =
        parsed.client_no_context_takeover || wish->client_no_context_takeover;
    agreed->client_max_window_bits = parsed.has_client_max_window_bits
                                         ? parsed.client_max_window_bits
                                         : wish->client_max_window_bits;
    agreed->server_max_window_bits = BITS_MAX;
    if (parsed.server_max_window_bits != 0) {
        agreed->server_max_window_bits = parsed.server_max_window_bits < BITS_ZLIB_MIN
                                             ? BITS_ZLIB_MIN
                                             : parsed.server_max_window_bits;
    }
    return true;
}
