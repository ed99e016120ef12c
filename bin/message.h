/*
 * message.h - the part of tool.h that runs when something goes wrong.
 *
 * Its functions are declared in tool.h; this header is for tool.c.
 */
#ifndef BIN_MESSAGE_H
#define BIN_MESSAGE_H

/*
 * A file that shrinks under a map gives SIGBUS: say so in one line, with the
 * tool's name and the store that *dir names at that time, and end with 74.
 */
void message_guard_maps(const char *tool, const char *const *dir);

#endif
