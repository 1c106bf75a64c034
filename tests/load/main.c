/* weir-load: drives a WebSocket server hard and says what that cost. Picks the mode; the modes do
 * the work. Never more than one thread, so that it can be pinned to a core. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fail.h"
#include "modes.h"

static const char usage[] =
    "usage: weir-load echo|idle|churn|fanout [options]\n"
    "  --address A.B.C.D:PORT  the server (127.0.0.1:5000)\n"
    "  --path PATH             the route that accepts the upgrade (/ws)\n"
    "  --pid PID               the server's process: measures its CPU time and memory\n"
    "  --connections N         echo, idle, fanout: sessions (100)\n"
    "  --size BYTES            payload of a message, also as KiB or MiB (64)\n"
    "  --text | --binary       kind of message (binary)\n"
    "  --depth N               echo: messages in flight on each session; fanout: on all (1)\n"
    "  --seconds S             echo, churn, fanout: length of the measured window (5)\n"
    "  --warmup S              the same, before the window (1)\n"
    "  --stall S               fail when no answer comes for so long (10)\n"
    "  --raw                   echo: plain TCP with as many bytes as the masked frames have\n"
    "  --echo-once             idle: each session echoes one message first\n"
    "  --rounds N              idle: open and close all sessions so often (1)\n"
    "  --parallel N            churn: sessions at a time (50)\n"
    "  --publish-path PATH     fanout: a session of its own publishes there\n"
    "Prints one line of JSON. Exits 1 when any answer is wrong or missing.\n";

struct mode {
    const char *name;
    void (*run)(const struct options *options);
};

static const struct mode modes[] = {
    {"echo", echo_run},
    {"idle", idle_run},
    {"churn", churn_run},
    {"fanout", fanout_run},
};

int main(int argc, char **argv)
{
    struct options options;
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            options_read(argc - 2, argv + 2, &options);
            modes[i].run(&options);
            return 0;
        }
    }
    fail("unknown mode '%s'; see --help", argv[1]);
}
