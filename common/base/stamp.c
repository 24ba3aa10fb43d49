#include "common/base/stamp.h"

#include <sys/stat.h>

bool file_stamp_look(struct file_stamp *stamp, const char *path)
{
    struct stat st;
    struct file_stamp old = *stamp;
    *stamp = (struct file_stamp){0};
    if (stat(path, &st) == 0) {
        *stamp = (struct file_stamp){st.st_dev, st.st_ino, st.st_size, st.st_ctim, true};
    }
    return stamp->there != old.there || stamp->dev != old.dev || stamp->ino != old.ino ||
           stamp->size != old.size || stamp->changed.tv_sec != old.changed.tv_sec ||
           stamp->changed.tv_nsec != old.changed.tv_nsec;
}
