/* key_file.h - a secret kept in a file. Owns nothing. */
#ifndef HARP_CONFIG_KEY_FILE_H
#define HARP_CONFIG_KEY_FILE_H

#include "common/config/report.h"

/* Reads a key from the file: newlines at its end and quotes around it are dropped, and it must pass
 * value_check_key. *key (empty, owned by the caller's settings) is replaced. `where` names the
 * setting in errors, which never show the key. 0, or -1 with the error in the report. */
int key_file_read(const char *where, const char *path, char **key,
                  struct config_report *report) MUST_CHECK;

#endif
