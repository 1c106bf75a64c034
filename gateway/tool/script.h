/* `weir lua`: a script with the API of plugins, without a server. */
#ifndef WEIR_TOOL_SCRIPT_H
#define WEIR_TOOL_SCRIPT_H

/* Runs the command; `argv[0]` is its name. Returns the exit status: 1 when the script or what it
 * left to run failed, 2 for wrong arguments. Main thread. */
int script_main(int argc, char **argv);

#endif
