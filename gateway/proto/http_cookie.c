/* One cookie out of a Cookie field, as servers read it: pairs between semicolons, and what is
 * malformed passed over, since a browser sends cookies that others have set.
 * Called by handlers/proxy for its own cookie and by the balancer's hash. It never decodes a value.
 */
#include "proto/http_cookie.h"

static struct span without_quotes(struct span value)
{
    if (value.size >= 2 && value.data[0] == '"' && value.data[value.size - 1] == '"') {
        return (struct span){value.data + 1, value.size - 2};
    }
    return value;
}

struct span http_cookie_find(struct span field, struct span name)
{
    while (field.size > 0) {
        size_t end = span_find(field, ';');
        struct span pair = span_trim((struct span){field.data, end});
        size_t equals = span_find(pair, '=');
        bool is_pair = equals < pair.size;
        if (is_pair && span_equal(span_trim((struct span){pair.data, equals}), name)) {
            return without_quotes(span_trim(span_from(pair, equals + 1)));
        }
        field = span_from(field, end + 1);
    }
    return (struct span){NULL, 0};
}
