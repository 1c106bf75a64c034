/* Each of the three forms of a date is one pattern; a cursor walks the text along it. Strict: one
 * space where the grammar has one, and names in their exact case (RFC 9110, section 5.6.7, says
 * that dates are case-sensitive), because a date that is not understood only means that a
 * condition is ignored.
 * Called by http_conditional for each date that a client sends. It knows no locale and no time
 * zone (timegm has neither), and never allocates. */
#include "proto/http_date.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

enum {
    TM_YEAR = 1900, /* what struct tm counts years from */
    FEBRUARY = 1,
    SHORT_NAME_BYTES = 3
};

static const char *const DAY_NAMES[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
static const char MONTH_NAMES[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

enum {
    DAY_NAME_COUNT = sizeof(DAY_NAMES) / sizeof(DAY_NAMES[0])
};

static bool take(struct span *rest, struct span text)
{
    if (!span_starts_with(*rest, text)) {
        return false;
    }
    *rest = span_from(*rest, text.size);
    return true;
}

static bool take_day_name(struct span *rest, bool is_long)
{
    for (size_t i = 0; i < DAY_NAME_COUNT; i++) {
        struct span name = span_of(DAY_NAMES[i]);
        if (!is_long) {
            name.size = SHORT_NAME_BYTES;
        }
        if (take(rest, name)) {
            return true;
        }
    }
    return false;
}

static bool take_month(struct span *rest, int *month)
{
    for (int i = 0; i < 12; i++) {
        const char *name = MONTH_NAMES + (size_t)i * SHORT_NAME_BYTES;
        if (take(rest, (struct span){(const uint8_t *)name, SHORT_NAME_BYTES})) {
            *month = i;
            return true;
        }
    }
    return false;
}

static bool take_digits(struct span *rest, size_t count, int *value)
{
    int sum = 0;
    if (rest->size < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t c = rest->data[i];
        if (c < '0' || c > '9') {
            return false;
        }
        sum = sum * 10 + (c - '0');
    }
    *value = sum;
    *rest = span_from(*rest, count);
    return true;
}

/* time-of-day: 00:00:00 to 23:59:60. */
static bool take_time(struct span *rest, struct tm *date)
{
    return take_digits(rest, 2, &date->tm_hour) && take(rest, SPAN(":")) &&
           take_digits(rest, 2, &date->tm_min) && take(rest, SPAN(":")) &&
           take_digits(rest, 2, &date->tm_sec);
}

static bool take_year(struct span *rest, struct tm *date)
{
    bool is_year = take_digits(rest, 4, &date->tm_year);
    date->tm_year -= TM_YEAR;
    return is_year;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool take_fixdate(struct span rest, struct tm *date)
{
    return take_day_name(&rest, false) && take(&rest, SPAN(", ")) &&
           take_digits(&rest, 2, &date->tm_mday) && take(&rest, SPAN(" ")) &&
           take_month(&rest, &date->tm_mon) && take(&rest, SPAN(" ")) && take_year(&rest, date) &&
           take(&rest, SPAN(" ")) && take_time(&rest, date) && take(&rest, SPAN(" GMT")) &&
           rest.size == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year comes out as 0..99. */
static bool take_rfc850(struct span rest, struct tm *date)
{
    bool is_date = take_day_name(&rest, true) && take(&rest, SPAN(", ")) &&
                   take_digits(&rest, 2, &date->tm_mday) && take(&rest, SPAN("-")) &&
                   take_month(&rest, &date->tm_mon) && take(&rest, SPAN("-")) &&
                   take_digits(&rest, 2, &date->tm_year) && take(&rest, SPAN(" ")) &&
                   take_time(&rest, date) && take(&rest, SPAN(" GMT")) && rest.size == 0;
    date->tm_year -= TM_YEAR;
    return is_date;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool take_asctime(struct span rest, struct tm *date)
{
    if (!take_day_name(&rest, false) || !take(&rest, SPAN(" ")) ||
        !take_month(&rest, &date->tm_mon) || !take(&rest, SPAN(" "))) {
        return false;
    }
    size_t day_digits = take(&rest, SPAN(" ")) ? 1 : 2;
    return take_digits(&rest, day_digits, &date->tm_mday) && take(&rest, SPAN(" ")) &&
           take_time(&rest, date) && take(&rest, SPAN(" ")) && take_year(&rest, date) &&
           rest.size == 0;
}

static int days_in_month(int year, int month)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == FEBRUARY && is_leap ? 29 : DAYS[month];
}

static bool is_possible(const struct tm *date)
{
    /* 60 is a leap second; it counts as the first second of the next minute. */
    return date->tm_mday >= 1 &&
           date->tm_mday <= days_in_month(date->tm_year + TM_YEAR, date->tm_mon) &&
           date->tm_hour <= 23 && date->tm_min <= 59 && date->tm_sec <= 60;
}

/* `date` without the given years; by value, because timegm puts its argument in order. */
static int64_t seconds_before(struct tm date, int years)
{
    date.tm_year -= years;
    return timegm(&date);
}

/* RFC 9110, section 5.6.7: a two-digit year that appears to be more than 50 years in the future is
 * the most recent year in the past with these last two digits. */
static void place_in_century(struct tm *date, int64_t now_seconds)
{
    time_t seconds = (time_t)now_seconds;
    struct tm now;
    gmtime_r(&seconds, &now);
    date->tm_year += (now.tm_year + TM_YEAR) / 100 * 100 + 100;
    while (seconds_before(*date, 50) > now_seconds) {
        date->tm_year -= 100;
    }
}

enum weir_err http_date_parse(struct span text, int64_t now_seconds, int64_t *seconds)
{
    struct tm date = {0};
    if (take_rfc850(text, &date)) {
        place_in_century(&date, now_seconds);
    } else if (!take_fixdate(text, &date) && !take_asctime(text, &date)) {
        return WEIR_EPROTO;
    }
    if (!is_possible(&date)) {
        return WEIR_EPROTO;
    }
    *seconds = seconds_before(date, 0);
    return WEIR_OK;
}
