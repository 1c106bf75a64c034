/* The PROXY header: no overread, and each prefix of a valid header waits for the rest of it. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "proto/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum weir_err parse(const uint8_t *data, size_t size, struct proxy_header *header,
                           size_t *consumed)
{
    const char *why = NULL;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    WEIR_CHECK(copy != NULL);
    memcpy(copy, data, size);
    enum weir_err err = proxy_protocol_parse((struct span){copy, size}, header, consumed, &why);
    free(copy);
    WEIR_CHECK(err == WEIR_OK || err == WEIR_AGAIN || why != NULL);
    WEIR_CHECK(err != WEIR_AGAIN || size < PROXY_BYTES_MAX);
    return err;
}

static void check_address(const struct ip_address *address)
{
    char text[IP_ADDRESS_TEXT_BYTES];
    struct ip_address back;
    size_t size = ip_address_format(address, true, text);
    if (address->family != IP_NONE) {
        WEIR_CHECK(ip_address_parse((struct span){(uint8_t *)text, size}, &back) == WEIR_OK);
        WEIR_CHECK(ip_address_equal(address, &back) && address->port == back.port);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header;
    struct proxy_header other;
    size_t consumed = 0;
    size_t ignored;
    if (parse(data, size, &header, &consumed) != WEIR_OK) {
        return 0;
    }
    WEIR_CHECK(consumed > 0 && consumed <= size && consumed <= PROXY_BYTES_MAX);
    check_address(&header.source);
    check_address(&header.destination);
    for (size_t cut = 0; cut < consumed; cut += 1 + consumed / 16) {
        WEIR_CHECK(parse(data, cut, &other, &ignored) == WEIR_AGAIN);
    }
    WEIR_CHECK(parse(data, consumed, &other, &ignored) == WEIR_OK);
    return 0;
}
