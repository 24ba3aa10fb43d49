#include "common/system/ask.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int ask_connect(const struct listen_addr *at)
{
    const struct timeval limit = {.tv_sec = ASK_SECONDS};
    struct sockaddr_storage sa;
    socklen_t len = listen_sockaddr(at, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    /* Linux takes the limit for sending as that for connecting, too. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&sa, len) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int ask_read(int fd, struct buf *to, size_t max)
{
    char part[4096];
    for (;;) {
        ssize_t got = recv(fd, part, sizeof(part), 0);
        if (got == 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            return -1;
        }
        if (got > 0 && to->len + (size_t)got > max) {
            errno = EMSGSIZE;
            return -1;
        }
        if (got > 0) {
            buf_append(to, part, (size_t)got);
        }
    }
}

const char *ask_error(int number)
{
    return number == EAGAIN || number == EINPROGRESS ? "no answer in time" : strerror(number);
}
