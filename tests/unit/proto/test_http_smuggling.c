/* Request smuggling: one named row for each published variant that lives in a request head. Each is
 * refused with the status at its row however it is split, so that the connection closes and nothing
 * behind it is read as a request. Variants inside chunked bodies are in test_http_chunked.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "http_feed.h"

struct vector {
    const char *name;
    unsigned status;
    struct span bytes;
};

#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define END "\r\n\r\n"

static const struct vector TWO_LENGTHS[] = {
    {"CL.TE: Content-Length, then chunked", 400,
     BYTES(POST "Content-Length: 6\r\nTransfer-Encoding: chunked" END)},
    {"TE.CL: chunked, then Content-Length", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 6" END)},
    {"CL.TE with a length of zero", 400,
     BYTES(POST "Content-Length: 0\r\nTransfer-Encoding: chunked" END)},
    {"CL.TE in lower case", 400, BYTES(POST "content-length: 6\r\ntransfer-encoding: chunked" END)},
    {"CL.TE on GET", 400,
     BYTES("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked" END)},
    {"CL.TE with an unknown coding", 400,
     BYTES(POST "Content-Length: 6\r\nTransfer-Encoding: x" END)},
    {"CL.TE with a malformed length", 400,
     BYTES(POST "Content-Length: x\r\nTransfer-Encoding: chunked" END)},
    {"CL.CL: two different lengths", 400, BYTES(POST "Content-Length: 6\r\nContent-Length: 5" END)},
    {"CL.CL: two equal lengths", 400, BYTES(POST "Content-Length: 6\r\nContent-Length: 6" END)},
    {"CL.CL: second one empty", 400, BYTES(POST "Content-Length: 6\r\nContent-Length:" END)},
    {"CL.CL: in one field", 400, BYTES(POST "Content-Length: 6, 5" END)},
    {"CL.CL: equal, in one field", 400, BYTES(POST "Content-Length: 6, 6" END)},
    {"CL.CL: equal, no space", 400, BYTES(POST "Content-Length: 6,6" END)},
    {"CL.CL: zero first", 400, BYTES(POST "Content-Length: 0\r\nContent-Length: 44" END)},
    {"CL.CL: other case", 400, BYTES(POST "Content-Length: 6\r\ncONTENT-lENGTH: 5" END)},
};

static const struct vector BAD_LENGTHS[] = {
    {"length with plus", 400, BYTES(POST "Content-Length: +6" END)},
    {"length with minus", 400, BYTES(POST "Content-Length: -6" END)},
    {"negative zero", 400, BYTES(POST "Content-Length: -0" END)},
    {"length in hexadecimal", 400, BYTES(POST "Content-Length: 0x6" END)},
    {"length with hexadecimal digit", 400, BYTES(POST "Content-Length: 6a" END)},
    {"length with inner space", 400, BYTES(POST "Content-Length: 6 5" END)},
    {"length with inner tab", 400, BYTES(POST "Content-Length: 6\t5" END)},
    {"length with decimal point", 400, BYTES(POST "Content-Length: 6.0" END)},
    {"length with exponent", 400, BYTES(POST "Content-Length: 6e0" END)},
    {"length with underscore", 400, BYTES(POST "Content-Length: 6_0" END)},
    {"length with semicolon", 400, BYTES(POST "Content-Length: 6;" END)},
    {"length with trailing comma", 400, BYTES(POST "Content-Length: 6," END)},
    {"length with leading comma", 400, BYTES(POST "Content-Length: ,6" END)},
    {"quoted length", 400, BYTES(POST "Content-Length: \"6\"" END)},
    {"empty length", 400, BYTES(POST "Content-Length:" END)},
    {"blank length", 400, BYTES(POST "Content-Length: \t " END)},
    {"length with NUL", 400, BYTES(POST "Content-Length: 6\0" END)},
    {"length with vertical tab", 400,
     BYTES(POST "Content-Length: \x0b"
                "6" END)},
    {"length with form feed", 400,
     BYTES(POST "Content-Length: \x0c"
                "6" END)},
    {"length with no-break space", 400,
     BYTES(POST "Content-Length: \xa0"
                "6" END)},
    {"length in Arabic digits", 400, BYTES(POST "Content-Length: \xd9\xa6" END)},
    {"length over 63 bits", 400, BYTES(POST "Content-Length: 9223372036854775808" END)},
    {"length over 64 bits", 400, BYTES(POST "Content-Length: 18446744073709551622" END)},
    {"length that wraps 32 bits twice", 400,
     BYTES(POST "Content-Length: 340282366920938463463374607431768211462" END)},
    {"length with many zeros", 400, BYTES(POST "Content-Length: 00000000000000000006" END)},
};

static const struct vector BAD_CODINGS[] = {
    {"TE.TE: xchunked", 400, BYTES(POST "Transfer-Encoding: xchunked" END)},
    {"TE.TE: chunkedx", 400, BYTES(POST "Transfer-Encoding: chunkedx" END)},
    {"TE.TE: cow", 400, BYTES(POST "Transfer-Encoding: cow" END)},
    {"TE.TE: identity", 400, BYTES(POST "Transfer-Encoding: identity" END)},
    {"TE.TE: chunked, identity", 400, BYTES(POST "Transfer-Encoding: chunked, identity" END)},
    {"TE.TE: identity, chunked", 400, BYTES(POST "Transfer-Encoding: identity, chunked" END)},
    {"TE.TE: identity, chunked, identity", 400,
     BYTES(POST "Transfer-Encoding: identity, chunked, identity" END)},
    {"TE.TE: cow, chunked", 400, BYTES(POST "Transfer-Encoding: cow, chunked" END)},
    {"TE.TE: chunked, cow", 400, BYTES(POST "Transfer-Encoding: chunked, cow" END)},
    {"TE.TE: chunked, chunked", 400, BYTES(POST "Transfer-Encoding: chunked, chunked" END)},
    {"TE.TE: chunked, gzip", 400, BYTES(POST "Transfer-Encoding: chunked, gzip" END)},
    {"TE.TE: gzip alone", 400, BYTES(POST "Transfer-Encoding: gzip" END)},
    {"a coding that we lack, framed well", 501, BYTES(POST "Transfer-Encoding: gzip, chunked" END)},
    {"TE.TE: two fields, second unknown", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow" END)},
    {"TE.TE: two fields, first unknown", 400,
     BYTES(POST "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked" END)},
    {"TE.TE: two equal fields", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" END)},
    {"TE.TE: second field with other case", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-encoding: x" END)},
    {"TE.TE: second field empty", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding:" END)},
    {"TE.TE: second field identity", 400,
     BYTES(POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked" END)},
    {"coding with parameter", 400, BYTES(POST "Transfer-Encoding: chunked;q=1" END)},
    {"coding with semicolon", 400, BYTES(POST "Transfer-Encoding: chunked;" END)},
    {"coding in double quotes", 400, BYTES(POST "Transfer-Encoding: \"chunked\"" END)},
    {"coding in single quotes", 400, BYTES(POST "Transfer-Encoding: 'chunked'" END)},
    {"coding with leading comma", 400, BYTES(POST "Transfer-Encoding: ,chunked" END)},
    {"coding with trailing comma", 400, BYTES(POST "Transfer-Encoding: chunked," END)},
    {"only a comma", 400, BYTES(POST "Transfer-Encoding: ," END)},
    {"empty coding", 400, BYTES(POST "Transfer-Encoding:" END)},
    {"coding with doubled name", 400,
     BYTES(POST "Transfer-Encoding: Transfer-Encoding: chunked" END)},
    {"coding with inner space", 400, BYTES(POST "Transfer-Encoding: chun ked" END)},
    {"coding with vertical tab before", 400,
     BYTES(POST "Transfer-Encoding: \x0b"
                "chunked" END)},
    {"coding with vertical tab behind", 400, BYTES(POST "Transfer-Encoding: chunked\x0b" END)},
    {"coding with form feed", 400,
     BYTES(POST "Transfer-Encoding: \x0c"
                "chunked" END)},
    {"coding with backspace", 400, BYTES(POST "Transfer-Encoding: chunked\x08" END)},
    {"coding with escape", 400,
     BYTES(POST "Transfer-Encoding: \x1b"
                "chunked" END)},
    {"coding with DEL", 400,
     BYTES(POST "Transfer-Encoding: \x7f"
                "chunked" END)},
    {"coding with NUL before", 400, BYTES(POST "Transfer-Encoding: \0chunked" END)},
    {"coding with NUL behind", 400, BYTES(POST "Transfer-Encoding: chunked\0" END)},
    {"coding with high byte behind", 400, BYTES(POST "Transfer-Encoding: chunked\xff" END)},
    {"coding with high byte before", 400,
     BYTES(POST "Transfer-Encoding: \xff"
                "chunked" END)},
    {"coding with no-break space", 400,
     BYTES(POST "Transfer-Encoding: \xa0"
                "chunked" END)},
    {"coding with soft letters (long s)", 400,
     BYTES(POST "Transfer-Encoding: chun\xe2\x84\xaa"
                "ed" END)},
    {"chunked in HTTP/1.0", 400,
     BYTES("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked" END)},
    {"chunked in HTTP/1.0 that stays open", 400,
     BYTES("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked" END)},
};

static const struct vector BAD_NAMES[] = {
    {"space before colon", 400, BYTES(POST "Transfer-Encoding : chunked" END)},
    {"tab before colon", 400, BYTES(POST "Transfer-Encoding\t: chunked" END)},
    {"space before the length's colon", 400, BYTES(POST "Content-Length : 6" END)},
    {"vertical tab before colon", 400, BYTES(POST "Transfer-Encoding\x0b: chunked" END)},
    {"NUL before colon", 400, BYTES(POST "Transfer-Encoding\0: chunked" END)},
    {"NUL in name", 400, BYTES(POST "Transfer\0-Encoding: chunked" END)},
    {"CR before colon", 400, BYTES(POST "Transfer-Encoding\r: chunked" END)},
    {"high byte before colon", 400, BYTES(POST "Transfer-Encoding\xff: chunked" END)},
    {"high byte before name", 400, BYTES(POST "\xffTransfer-Encoding: chunked" END)},
    {"space before name", 400, BYTES(POST " Transfer-Encoding: chunked" END)},
    {"tab before name", 400, BYTES(POST "\tTransfer-Encoding: chunked" END)},
    {"space before the first name", 400,
     BYTES("POST / HTTP/1.1\r\n Host: a\r\nTransfer-Encoding: chunked" END)},
    {"space in name", 400, BYTES(POST "Transfer Encoding: chunked" END)},
    {"underscore in Transfer-Encoding", 400, BYTES(POST "Transfer_Encoding: chunked" END)},
    {"underscore in Content-Length", 400, BYTES(POST "Content_Length: 6" END)},
    {"name with quote", 400, BYTES(POST "\"Transfer-Encoding\": chunked" END)},
    {"name with slash", 400, BYTES(POST "Transfer/Encoding: chunked" END)},
    {"name with bracket", 400, BYTES(POST "Transfer-Encoding[]: chunked" END)},
    {"name with at sign", 400, BYTES(POST "@: chunked" END)},
    {"empty name", 400, BYTES(POST ": chunked" END)},
    {"line without colon", 400, BYTES(POST "Transfer-Encoding" END)},
    {"line without colon, with value", 400, BYTES(POST "Transfer-Encoding chunked" END)},
    {"folded value", 400, BYTES(POST "Transfer-Encoding:\r\n chunked" END)},
    {"folded value by tab", 400, BYTES(POST "Transfer-Encoding:\r\n\tchunked" END)},
    {"folded list", 400, BYTES(POST "Transfer-Encoding: chunked,\r\n identity" END)},
    {"folded line hides a field", 400, BYTES(POST "X: y\r\n Transfer-Encoding: chunked" END)},
    {"folded blank line", 400, BYTES(POST "X: y\r\n \r\nContent-Length: 6" END)},
    {"folded length", 400, BYTES(POST "Content-Length: 1\r\n 6" END)},
};

static const struct vector LINE_ENDS[] = {
    {"bare LF behind the request line", 400, BYTES("POST / HTTP/1.1\nHost: a" END)},
    {"bare LF behind a field", 400, BYTES(POST "X: y\nTransfer-Encoding: chunked" END)},
    {"bare LF before colon", 400, BYTES(POST "Transfer-Encoding\n: chunked" END)},
    {"bare LF in value", 400, BYTES(POST "Transfer-Encoding:\nchunked" END)},
    {"bare LF as empty line", 400, BYTES("POST / HTTP/1.1\r\nHost: a\r\n\nGET / HTTP/1.1" END)},
    {"bare LF only", 400, BYTES("POST / HTTP/1.1\nHost: a\n\n")},
    {"bare LF before the request", 400, BYTES("\nPOST / HTTP/1.1\r\nHost: a" END)},
    {"bare CR in value", 400, BYTES(POST "X: y\rTransfer-Encoding: chunked" END)},
    {"bare CR before CRLF", 400, BYTES(POST "X: y\r\r\nTransfer-Encoding: chunked" END)},
    {"bare CR between the empty lines", 400, BYTES(POST "X: y\r\n\r\r\n\r\n")},
    {"bare CR behind the request line", 400, BYTES("POST / HTTP/1.1\rHost: a" END)},
    {"bare CR before coding", 400, BYTES(POST "Transfer-Encoding:\rchunked" END)},
    {"bare CR behind coding", 400, BYTES(POST "Transfer-Encoding: chunked\r" END)},
    {"bare CR at line start", 400, BYTES(POST "\rTransfer-Encoding: chunked" END)},
    {"bare CR before the request", 400, BYTES("\rPOST / HTTP/1.1\r\nHost: a" END)},
    {"LF CR instead of CR LF", 400, BYTES("POST / HTTP/1.1\n\rHost: a\n\r\n\r")},
    {"vertical tab as line end", 400, BYTES(POST "X: y\x0bTransfer-Encoding: chunked" END)},
    {"NEL as line end stays in its value, so no field is hidden", 0,
     BYTES(POST "X: y\xc2\x85Transfer-Encoding: chunked" END)},
    {"too many empty lines before the request", 400,
     BYTES("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a" END)},
};

static const struct vector REQUEST_LINES[] = {
    {"two spaces behind the method", 400, BYTES("GET  / HTTP/1.1\r\nHost: a" END)},
    {"two spaces before the version", 400, BYTES("GET /  HTTP/1.1\r\nHost: a" END)},
    {"tab behind the method", 400, BYTES("GET\t/ HTTP/1.1\r\nHost: a" END)},
    {"tab before the version", 400, BYTES("GET /\tHTTP/1.1\r\nHost: a" END)},
    {"vertical tab behind the method", 400, BYTES("GET\x0b/ HTTP/1.1\r\nHost: a" END)},
    {"space before the method", 400, BYTES(" GET / HTTP/1.1\r\nHost: a" END)},
    {"space behind the version", 400, BYTES("GET / HTTP/1.1 \r\nHost: a" END)},
    {"tab behind the version", 400, BYTES("GET / HTTP/1.1\t\r\nHost: a" END)},
    {"space in the target", 400, BYTES("GET /a b HTTP/1.1\r\nHost: a" END)},
    {"second request line in the target", 400, BYTES("GET / HTTP/1.1 HTTP/1.1\r\nHost: a" END)},
    {"method that is no token", 400, BYTES("G@T / HTTP/1.1\r\nHost: a" END)},
    {"method with NUL", 400, BYTES("GET\0 / HTTP/1.1\r\nHost: a" END)},
    {"no method", 400, BYTES("/ HTTP/1.1\r\nHost: a" END)},
    {"no target", 400, BYTES("GET HTTP/1.1\r\nHost: a" END)},
    {"empty target", 400, BYTES("GET  HTTP/1.1\r\nHost: a" END)},
    {"no version (HTTP/0.9)", 400, BYTES("GET /\r\nHost: a" END)},
    {"no version, with space", 400, BYTES("GET / \r\nHost: a" END)},
    {"fragment", 400, BYTES("GET /a#b HTTP/1.1\r\nHost: a" END)},
    {"NUL in the target", 400, BYTES("GET /a\0b HTTP/1.1\r\nHost: a" END)},
    {"DEL in the target", 400, BYTES("GET /a\x7f HTTP/1.1\r\nHost: a" END)},
    {"high byte in the target", 400, BYTES("GET /\xc3\xa9 HTTP/1.1\r\nHost: a" END)},
    {"relative target", 400, BYTES("GET a HTTP/1.1\r\nHost: a" END)},
    {"query as target", 400, BYTES("GET ?a HTTP/1.1\r\nHost: a" END)},
    {"asterisk for GET", 400, BYTES("GET * HTTP/1.1\r\nHost: a" END)},
    {"asterisk and more", 400, BYTES("OPTIONS *a HTTP/1.1\r\nHost: a" END)},
    {"authority for GET", 400, BYTES("GET a:80 HTTP/1.1\r\nHost: a" END)},
    {"CONNECT", 501, BYTES("CONNECT a:80 HTTP/1.1\r\nHost: a" END)},
    {"CONNECT with a path", 400, BYTES("CONNECT /a HTTP/1.1\r\nHost: a" END)},
    {"version in lower case", 400, BYTES("GET / http/1.1\r\nHost: a" END)},
    {"version of another protocol", 400, BYTES("GET / HTTPS/1.1\r\nHost: a" END)},
    {"version of one number", 400, BYTES("GET / HTTP/1\r\nHost: a" END)},
    {"version without minor", 400, BYTES("GET / HTTP/1.\r\nHost: a" END)},
    {"version without major", 400, BYTES("GET / HTTP/.1\r\nHost: a" END)},
    {"version with two digits", 400, BYTES("GET / HTTP/1.10\r\nHost: a" END)},
    {"version with a leading zero", 400, BYTES("GET / HTTP/01.1\r\nHost: a" END)},
    {"version with a comma", 400, BYTES("GET / HTTP/1,1\r\nHost: a" END)},
    {"version with a space", 400, BYTES("GET / HTTP/ 1.1\r\nHost: a" END)},
    {"version with a letter", 400, BYTES("GET / HTTP/1.x\r\nHost: a" END)},
    {"version HTTP/1.2", 505, BYTES("GET / HTTP/1.2\r\nHost: a" END)},
    {"version HTTP/1.9", 505, BYTES("GET / HTTP/1.9\r\nHost: a" END)},
    {"version HTTP/0.9", 505, BYTES("GET / HTTP/0.9\r\nHost: a" END)},
    {"version HTTP/2.0", 505, BYTES("GET / HTTP/2.0\r\nHost: a" END)},
    {"the preface of HTTP/2", 505, BYTES("PRI * HTTP/2.0" END "SM" END)},
    {"TLS on a plain port", 400, BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
};

static const struct vector HOSTS[] = {
    {"no Host", 400, BYTES("GET / HTTP/1.1\r\nX: y" END)},
    {"no Host and no field", 400, BYTES("GET / HTTP/1.1" END)},
    {"no Host beside an absolute target", 400, BYTES("GET http://a/ HTTP/1.1\r\nX: y" END)},
    {"two Hosts", 400, BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: b" END)},
    {"two equal Hosts", 400, BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: a" END)},
    {"two Hosts in HTTP/1.0", 400, BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: b" END)},
    {"two Hosts, one empty", 400, BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost:" END)},
    {"Host with a list", 400, BYTES("GET / HTTP/1.1\r\nHost: a, b" END)},
    {"Host with a space", 400, BYTES("GET / HTTP/1.1\r\nHost: a b" END)},
    {"Host with user information", 400, BYTES("GET / HTTP/1.1\r\nHost: u@a" END)},
    {"Host with a path", 400, BYTES("GET / HTTP/1.1\r\nHost: a/b" END)},
    {"Host with a query", 400, BYTES("GET / HTTP/1.1\r\nHost: a?b" END)},
    {"Host with a fragment", 400, BYTES("GET / HTTP/1.1\r\nHost: a#b" END)},
    {"Host with a backslash", 400, BYTES("GET / HTTP/1.1\r\nHost: a\\b" END)},
    {"Host with an escape", 400, BYTES("GET / HTTP/1.1\r\nHost: a%2eb" END)},
    {"Host with a scheme", 400, BYTES("GET / HTTP/1.1\r\nHost: http://a" END)},
    {"Host with markup", 400, BYTES("GET / HTTP/1.1\r\nHost: <a>" END)},
    {"Host with a high byte", 400, BYTES("GET / HTTP/1.1\r\nHost: \xe9" END)},
    {"Host with a port that is no number", 400, BYTES("GET / HTTP/1.1\r\nHost: a:b" END)},
    {"Host with a port too large", 400, BYTES("GET / HTTP/1.1\r\nHost: a:65536" END)},
    {"Host with a signed port", 400, BYTES("GET / HTTP/1.1\r\nHost: a:+80" END)},
    {"Host with two ports", 400, BYTES("GET / HTTP/1.1\r\nHost: a:80:80" END)},
    {"Host with only a port", 400, BYTES("GET / HTTP/1.1\r\nHost: :80" END)},
    {"Host with an open bracket", 400, BYTES("GET / HTTP/1.1\r\nHost: [::1" END)},
    {"Host with a bracketed name", 400, BYTES("GET / HTTP/1.1\r\nHost: [a]" END)},
    {"Host with a bracketed IPv4 address", 400, BYTES("GET / HTTP/1.1\r\nHost: [127.0.0.1]" END)},
    {"Host with a zone", 400, BYTES("GET / HTTP/1.1\r\nHost: [fe80::1%25lo]" END)},
    {"Host with bytes behind its bracket", 400, BYTES("GET / HTTP/1.1\r\nHost: [::1]a" END)},
    {"target with user information", 400, BYTES("GET http://u@a/ HTTP/1.1\r\nHost: a" END)},
    {"target with password", 400, BYTES("GET http://u:p@a/ HTTP/1.1\r\nHost: a" END)},
    {"target without host", 400, BYTES("GET http:///a HTTP/1.1\r\nHost: a" END)},
    {"target with an empty authority", 400, BYTES("GET http:// HTTP/1.1\r\nHost: a" END)},
    {"target with one slash", 400, BYTES("GET http:/a HTTP/1.1\r\nHost: a" END)},
    {"target with another scheme", 400, BYTES("GET ftp://a/ HTTP/1.1\r\nHost: a" END)},
    {"target with file scheme", 400, BYTES("GET file:///a HTTP/1.1\r\nHost: a" END)},
    {"target with a host that has a backslash", 400,
     BYTES("GET http://a\\b/ HTTP/1.1\r\nHost: a" END)},
};

static const struct vector OTHERS[] = {
    {"Expect with a word before", 417,
     BYTES(POST "Content-Length: 6\r\nExpect: y 100-continue" END)},
    {"Expect with an unknown word", 417, BYTES(POST "Content-Length: 6\r\nExpect: x" END)},
    {"Expect with a list", 417,
     BYTES(POST "Content-Length: 6\r\nExpect: 100-continue, 100-continue" END)},
    {"Expect twice", 417,
     BYTES(POST "Content-Length: 6\r\nExpect: 100-continue\r\nExpect: 100-continue" END)},
    {"empty Expect", 417, BYTES(POST "Content-Length: 6\r\nExpect:" END)},
    {"Connection that drops Content-Length", 400,
     BYTES(POST "Content-Length: 6\r\nConnection: close, Content-Length" END)},
    {"Connection that drops Transfer-Encoding", 400,
     BYTES(POST "Transfer-Encoding: chunked\r\nConnection: transfer-encoding" END)},
    {"Connection that drops Host", 400, BYTES(POST "Connection: Host" END)},
};

/* A prefix of what is refused may be refused early, but only with the same status. */
static void check_vector(const struct vector *vector)
{
    struct http_feed feed = HTTP_FEED_INIT;
    enum weir_err wanted = vector->status == 0 ? WEIR_OK : WEIR_EPROTO;
    for (size_t cut = 0; cut <= vector->bytes.size; cut++) {
        feed.scanned = 0;
        enum weir_err err = http_feed_prefix(&feed, vector->bytes, cut);
        if (err == WEIR_AGAIN && cut < vector->bytes.size) {
            err = http_feed_prefix(&feed, vector->bytes, vector->bytes.size);
        }
        if (err != wanted || feed.status != vector->status) {
            fail_msg("%s, cut at %zu: %s, status %u (%s), not %u", vector->name, cut,
                     weir_err_name(err), feed.status, feed.why, vector->status);
        }
    }
    feed.scanned = 0;
    for (size_t size = 0; size <= vector->bytes.size; size++) {
        enum weir_err err = http_feed_prefix(&feed, vector->bytes, size);
        if (err != WEIR_AGAIN) {
            assert_int_equal(err, wanted);
            assert_int_equal(feed.status, vector->status);
            http_feed_free(&feed);
            return;
        }
    }
    fail_msg("%s: never refused byte by byte", vector->name);
}

#define CHECK_ALL(table)                                                                           \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < sizeof(table) / sizeof(table)[0]; i_++) {                         \
            check_vector(&(table)[i_]);                                                            \
        }                                                                                          \
    } while (0)

static void test_refuses_two_ways_of_framing(void **state)
{
    (void)state;
    CHECK_ALL(TWO_LENGTHS);
}

static void test_refuses_lengths_that_are_not_plain_digits(void **state)
{
    (void)state;
    CHECK_ALL(BAD_LENGTHS);
}

static void test_refuses_codings_that_are_not_exactly_chunked(void **state)
{
    (void)state;
    CHECK_ALL(BAD_CODINGS);
}

static void test_refuses_field_names_that_others_may_repair(void **state)
{
    (void)state;
    CHECK_ALL(BAD_NAMES);
}

static void test_refuses_line_ends_that_are_not_crlf(void **state)
{
    (void)state;
    CHECK_ALL(LINE_ENDS);
}

static void test_refuses_request_lines_with_room_for_doubt(void **state)
{
    (void)state;
    CHECK_ALL(REQUEST_LINES);
}

static void test_refuses_hosts_that_are_missing_doubled_or_invalid(void **state)
{
    (void)state;
    CHECK_ALL(HOSTS);
}

static void test_refuses_expectations_and_options_that_change_framing(void **state)
{
    (void)state;
    CHECK_ALL(OTHERS);
}

/* CL.0 and 0.CL: a body is a body, whatever the method and path, and what follows it is the next
 * request and nothing else. */
static void test_frames_a_body_on_every_method(void **state)
{
    static const char *const methods[] = {"GET",  "HEAD",  "OPTIONS", "DELETE",
                                          "POST", "TRACE", "get"};
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char text[128];
        int size =
            snprintf(text, sizeof text,
                     "%s /a.png HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", methods[i]);
        struct http_feed feed = HTTP_FEED_INIT;
        struct span bytes = {(const uint8_t *)text, (size_t)size};
        assert_int_equal(http_feed_whole(&feed, bytes), WEIR_OK);
        assert_int_equal(feed.head.body, HTTP_BODY_LENGTH);
        assert_int_equal(feed.head.content_length, 5);
        assert_int_equal(feed.consumed, bytes.size - 5);
        http_feed_free(&feed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses_two_ways_of_framing),
        cmocka_unit_test(test_refuses_lengths_that_are_not_plain_digits),
        cmocka_unit_test(test_refuses_codings_that_are_not_exactly_chunked),
        cmocka_unit_test(test_refuses_field_names_that_others_may_repair),
        cmocka_unit_test(test_refuses_line_ends_that_are_not_crlf),
        cmocka_unit_test(test_refuses_request_lines_with_room_for_doubt),
        cmocka_unit_test(test_refuses_hosts_that_are_missing_doubled_or_invalid),
        cmocka_unit_test(test_refuses_expectations_and_options_that_change_framing),
        cmocka_unit_test(test_frames_a_body_on_every_method),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
