/* The keys of the plugin `jwt`, with every default of them. The row of `keys_forms` (keys_route.c)
 * points at this section; the values go to the plugin as JSON. */
#include "config/keys_jwt.h"

#include <stdio.h>
#include <string.h>

#include "config/format.h"
#include "config/note.h"

#define SECOND 1000u
#define HOUR (3600u * SECOND)
#define KIB 1024u

static bool refuse(char why[FORMAT_WHY_BYTES], const char *words)
{
    snprintf(why, FORMAT_WHY_BYTES, "%s", words);
    return false;
}

static bool check_key_file(const char *text, char why[FORMAT_WHY_BYTES])
{
    return strcmp(text, "secret") == 0 || format_file.check(text, why);
}

/* RFC 7518, section 3.2: at least as long as the digest. */
static bool check_secret(const char *text, char why[FORMAT_WHY_BYTES])
{
    return strlen(text) >= 32 || refuse(why, "the secret is shorter than 32 bytes");
}

static bool check_algorithm(const char *text, char why[FORMAT_WHY_BYTES])
{
    return strcmp(text, "HS256") == 0 || strcmp(text, "RS256") == 0 || strcmp(text, "ES256") == 0 ||
           refuse(why, "is none of HS256, RS256 and ES256");
}

static bool check_from(const char *text, char why[FORMAT_WHY_BYTES])
{
    bool named = strncmp(text, "query ", 6) == 0 && text[6] != '\0' && text[6] != ' ';
    return strcmp(text, "header") == 0 || strcmp(text, "subprotocol") == 0 || named ||
           refuse(why, "is none of `header`, `query NAME` and `subprotocol`");
}

static bool check_claim(const char *text, char why[FORMAT_WHY_BYTES])
{
    return text[0] != '\0' || refuse(why, "is no claim's name");
}

static const struct config_format format_key_file = {"file", NULL, check_key_file, false};
static const struct config_format format_jwt_secret = {"text", "^.{32,}$", check_secret, true};
static const struct config_format format_algorithm = {"algorithm", "^(HS256|RS256|ES256)$",
                                                      check_algorithm, false};
static const struct config_format format_from = {"place", "^(header|subprotocol|query [^ ].*)$",
                                                 check_from, false};
static const struct config_format format_claim = {"claim", "^.+$", check_claim, false};

static const struct config_key jwt_keys[] = {
    {.name = "jwt",
     .type = KEY_TEXT,
     .required = true,
     .offset = offsetof(struct keys_jwt, key_file),
     .format = &format_key_file,
     .doc = "The file of the keys that tokens are signed with: a public key or certificate in PEM, "
            "or a set of keys in JSON (RFC 7517). The word `secret` stands for the text of "
            "`secret`; a file of that name is `./secret`.",
     .example = "conf/keys/tokens.pem"},
    {.name = "secret",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_jwt, secret),
     .format = &format_jwt_secret,
     .doc = "The shared secret of HS256, at least 32 bytes, with `jwt: secret`. Write "
            "`${JWT_SECRET}` to take it from the environment.",
     .example = "${JWT_SECRET}",
     .apart = true},
    {.name = "algorithms",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_jwt, algorithms),
     .format = &format_algorithm,
     .doc =
         "The algorithms that are accepted, of HS256, RS256 and ES256; keys for others are left "
         "out. Empty: those that the keys are for. Each key is used for its own algorithm alone, "
         "whatever a token says.",
     .example = "[ES256]"},
    {.name = "issuer",
     .type = KEY_TEXT,
     .offset = offsetof(struct keys_jwt, issuer),
     .doc = "What the claim `iss` must be.",
     .example = "https://login.example.com"},
    {.name = "audience",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_jwt, audience),
     .doc = "The claim `aud` must name one of these. Empty: it is not looked at.",
     .example = "[chat]"},
    {.name = "require",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_jwt, require),
     .fallback = "exp",
     .format = &format_claim,
     .doc = "Claims that must be there. Without `exp` among them, tokens may be good for ever."},
    {.name = "claims",
     .type = KEY_PAIRS,
     .offset = offsetof(struct keys_jwt, claims),
     .name_format = &format_claim,
     .doc = "What claims must be: that text, or a list that has it. Others are answered with 403.",
     .example = "{role: member}"},
    {.name = "from",
     .type = KEY_TEXTS,
     .offset = offsetof(struct keys_jwt, from),
     .fallback = "header",
     .format = &format_from,
     .doc = "Where the token is looked for, in this order: `header` is `Authorization: Bearer "
            "TOKEN`, `query NAME` a parameter of the URL, `subprotocol` an item of "
            "`Sec-WebSocket-Protocol`.",
     .example = "[header, subprotocol]"},
    {.name = "leeway",
     .type = KEY_DURATION,
     .offset = offsetof(struct keys_jwt, leeway_ms),
     .fallback = "10s",
     .min = 0,
     .max = HOUR,
     .doc = "How far clocks may differ: a token is good so much longer, and earlier."},
    {.name = "max_token_size",
     .type = KEY_SIZE,
     .offset = offsetof(struct keys_jwt, max_token_size),
     .fallback = "8KiB",
     .min = 64,
     .max = 64 * KIB,
     .doc = "A longer token is refused before anything is read of it."},
    {.name = "close_code",
     .type = KEY_COUNT,
     .offset = offsetof(struct keys_jwt, close_code),
     .fallback = "4001",
     .min = 3000,
     .max = 4999,
     .doc = "The close code of a session whose token has expired."},
};

static void check_jwt(struct loader *l, const struct yaml_node *map, void *section, bool clean)
{
    const struct keys_jwt *jwt = section;
    if (!clean) {
        return;
    }
    bool is_secret = strcmp(jwt->key_file, "secret") == 0;
    if (is_secret && jwt->secret == NULL) {
        note_key(l, map, "jwt", "`secret` needs the key `secret` beside it");
    } else if (!is_secret && jwt->secret != NULL) {
        note_key(l, map, "secret", "has no effect without `jwt: secret`");
    }
}

const struct config_section keys_jwt = {
    .title = "JSON Web Tokens",
    .doc = "A built-in plugin that lets only requests with a good token pass, and closes sessions "
           "when their token expires; see docs/jwt.md.",
    .size = sizeof(struct keys_jwt),
    .keys = jwt_keys,
    .key_count = KEYS_COUNT(jwt_keys),
    .check = check_jwt,
};
