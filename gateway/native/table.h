/* The host's functions as native plugins get them. */
#ifndef WEIR_NATIVE_TABLE_H
#define WEIR_NATIVE_TABLE_H

struct weir_host;

/* The same table for all plugins; static storage. Any thread. */
const struct weir_host *native_table(void);

#endif
