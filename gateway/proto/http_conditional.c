/* Each field is judged as it comes, against the validators of what would be sent; the verdict then
 * weighs the judged fields. So nothing of the request is kept, and repeated list fields need no
 * joining.
 * Called by handlers/static for every request. It never allocates. */
#include "proto/http_conditional.h"

#include "base/err.h"
#include "proto/http_date.h"

/* --- entity tags --- */

/* RFC 9110, section 8.8.3: no controls, no space, no quote; a backslash is a plain character here,
 * and so is a comma, which is why span_list_next cannot take these lists apart. */
static bool is_etag_char(uint8_t c)
{
    return c > 0x20 && c != '"' && c != 0x7f;
}

/* Takes `[W/]"..."` off the front of `*rest`. */
static bool take_etag(struct span *rest, struct span *etag)
{
    size_t at = span_starts_with(*rest, SPAN("W/")) ? 2 : 0;
    if (at >= rest->size || rest->data[at] != '"') {
        return false;
    }
    do {
        at++;
    } while (at < rest->size && is_etag_char(rest->data[at]));
    if (at == rest->size || rest->data[at] != '"') {
        return false;
    }
    *etag = (struct span){rest->data, at + 1};
    *rest = span_trim(span_from(*rest, at + 1));
    return true;
}

static bool same_etag(struct span a, struct span b, bool strong)
{
    bool a_is_weak = span_starts_with(a, SPAN("W/"));
    bool b_is_weak = span_starts_with(b, SPAN("W/"));
    if (strong && (a_is_weak || b_is_weak)) {
        return false;
    }
    return span_equal(span_from(a, a_is_weak ? 2 : 0), span_from(b, b_is_weak ? 2 : 0));
}

static void skip_commas(struct span *rest)
{
    while (rest->size > 0 && rest->data[0] == ',') {
        *rest = span_trim(span_from(*rest, 1));
    }
}

bool http_conditional_lists(struct span value, struct span etag, bool strong)
{
    struct span rest = span_trim(value);
    struct span item;
    if (span_equal(rest, SPAN("*"))) {
        return true;
    }
    skip_commas(&rest);
    while (take_etag(&rest, &item)) {
        bool is_whole_item = rest.size == 0 || rest.data[0] == ',';
        if (is_whole_item && same_etag(item, etag, strong)) {
            return true;
        }
        if (!is_whole_item) {
            return false;
        }
        skip_commas(&rest);
    }
    return false;
}

/* --- the fields --- */

/* A list may be spread over several fields: one tag that matches is enough. */
static void add_match(struct http_condition *condition, bool is_listed)
{
    condition->holds = condition->holds || is_listed;
    condition->is_sent = true;
}

static void add_none_match(struct http_condition *condition, bool is_listed)
{
    condition->holds = (condition->holds || !condition->is_sent) && !is_listed;
    condition->is_sent = true;
}

/* RFC 9110, sections 13.1.3 and 13.1.4: a date that is none, or a second one, makes the field as if
 * it were not there; a condition that holds is just that. */
static void add_date(struct http_condition *condition, struct span value,
                     const struct http_validators *now, bool wants_newer)
{
    int64_t since = 0;
    bool counts = !condition->is_sent && now->has_modified &&
                  http_date_parse(span_trim(value), now->now_seconds, &since) == WEIR_OK;
    condition->is_sent = true;
    condition->holds = !counts || (now->modified_seconds > since) == wants_newer;
}

/* RFC 9110, section 13.1.5: a strong tag, or the exact date. Whether the date is a strong validator
 * is for the client to know, which must not send it otherwise; but while the file's own second
 * lasts, it may still change without its date. */
static void add_if_range(struct http_condition *condition, struct span value,
                         const struct http_validators *now)
{
    int64_t date = 0;
    bool is_first = !condition->is_sent;
    struct span rest = span_trim(value);
    struct span etag;
    condition->is_sent = true;
    condition->holds = false;
    if (!is_first) {
        return;
    }
    if (take_etag(&rest, &etag)) {
        condition->holds = rest.size == 0 && same_etag(etag, now->etag, true);
        return;
    }
    condition->holds = now->has_modified && now->modified_seconds < now->now_seconds &&
                       http_date_parse(rest, now->now_seconds, &date) == WEIR_OK &&
                       date == now->modified_seconds;
}

void http_conditional_add(struct http_conditional *conditional, struct span name, struct span value)
{
    const struct http_validators *now = conditional->validators;
    if (name.size < 3 || !span_equal_nocase((struct span){name.data, 3}, SPAN("if-"))) {
        return;
    }
    struct span kind = span_from(name, 3);
    if (span_equal_nocase(kind, SPAN("none-match"))) {
        add_none_match(&conditional->none_match, http_conditional_lists(value, now->etag, false));
    } else if (span_equal_nocase(kind, SPAN("match"))) {
        add_match(&conditional->match, http_conditional_lists(value, now->etag, true));
    } else if (span_equal_nocase(kind, SPAN("modified-since"))) {
        add_date(&conditional->modified, value, now, true);
    } else if (span_equal_nocase(kind, SPAN("unmodified-since"))) {
        add_date(&conditional->unmodified, value, now, false);
    } else if (span_equal_nocase(kind, SPAN("range"))) {
        add_if_range(&conditional->range, value, now);
    }
}

/* --- the verdict --- */

enum http_precondition http_conditional_judge(const struct http_conditional *conditional)
{
    const struct http_condition *asks_same =
        conditional->match.is_sent ? &conditional->match : &conditional->unmodified;
    if (asks_same->is_sent && !asks_same->holds) {
        return HTTP_PRECONDITION_FAILED;
    }
    if (conditional->none_match.is_sent) {
        return conditional->none_match.holds ? HTTP_PRECONDITION_PASSED
                                             : HTTP_PRECONDITION_NOT_MODIFIED;
    }
    if (conditional->modified.is_sent && !conditional->modified.holds) {
        return HTTP_PRECONDITION_NOT_MODIFIED;
    }
    return HTTP_PRECONDITION_PASSED;
}

bool http_conditional_allows_range(const struct http_conditional *conditional)
{
    return !conditional->range.is_sent || conditional->range.holds;
}
