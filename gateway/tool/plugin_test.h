/* `weir test-plugin`: runs a plugin's own tests. */
#ifndef WEIR_TOOL_PLUGIN_TEST_H
#define WEIR_TOOL_PLUGIN_TEST_H

/* Lua text of the module weir.test, terminated; static storage. Any thread. */
extern const char plugin_test_harness[];

/* Runs the command; `argv[0]` is its name. Returns the exit status: 0 when there are tests and all
 * passed, 2 for wrong arguments. Main thread. */
int plugin_test_main(int argc, char **argv);

#endif
