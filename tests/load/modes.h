/* The measures. Each runs to its end, prints its figures as one line of JSON, and returns; each
 * fails the program when an answer is wrong or stays out. */
#ifndef WEIR_LOAD_MODES_H
#define WEIR_LOAD_MODES_H

#include "options.h"

/* `--connections` sessions echo messages, `--depth` in flight on each. */
void echo_run(const struct options *options);

/* `--connections` sessions are opened and stay idle while the server's memory is read. */
void idle_run(const struct options *options);

/* `--parallel` sessions at a time are opened, echo once, and are closed again. */
void churn_run(const struct options *options);

/* One session publishes, all `--connections` must receive. */
void fanout_run(const struct options *options);

#endif
