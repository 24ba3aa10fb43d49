/* exapp.c - a sample ExApp for containers that have nothing else in them.
 *
 * Listens on the unix socket /tmp/exapp.sock, as ExApps behind a tunnel do, and answers one request on
 * each connection: /heartbeat, /init and /enabled as AppAPI wants them, /env with its environment,
 * /file?PATH with a file's content, and anything else with what was asked. Tells its start on
 * stderr and every request on stdout. Ends with 0 on SIGTERM, which the first process of a
 * container would not notice without a handler.
 *
 *   exapp                      serves
 *   exapp --health             exit code 0 if something serves at the socket
 *   exapp --end-after MS CODE  ends by itself
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_PATH "/tmp/exapp.sock"
#define MAX_HEAD 65536

extern char **environ;

static void on_term(int number)
{
    (void)number;
    _exit(0);
}

static int unix_socket(int (*use)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && use(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static void json_string(FILE *out, const char *text, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20 || c > 0x7E)
            fprintf(out, "\\u%04x", c); /* a byte is a code point of Latin-1 */
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void tell_environment(FILE *out)
{
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t name = strcspn(*entry, "=");

        fputs(entry == environ ? "{" : ", ", out);
        json_string(out, *entry, name);
        fputs(": ", out);
        json_string(out, *entry + name + 1, strlen(*entry + name + 1));
    }
    fputs(environ[0] == NULL ? "{}" : "}", out);
}

static bool tell_file(FILE *out, const char *path)
{
    FILE *file = fopen(path, "rb");
    char piece[4096];
    size_t got;

    if (file == NULL)
        return false;
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, got, out);
    fclose(file);
    return true;
}

/* `fields` are the lines after the request line, each with its CRLF. */
static void tell_request(FILE *out, const char *method, const char *target, const char *fields)
{
    const char *separator = "";

    fputs("{\"method\": ", out);
    json_string(out, method, strlen(method));
    fputs(", \"path\": ", out);
    json_string(out, target, strlen(target));
    fputs(", \"headers\": [", out);
    for (const char *end; (end = strstr(fields, "\r\n")) != NULL; fields = end + 2) {
        const char *colon = memchr(fields, ':', (size_t)(end - fields));
        const char *value = colon == NULL ? end : colon + 1;

        if (colon == NULL)
            continue;
        value += strspn(value, " \t");
        fprintf(out, "%s[", separator);
        json_string(out, fields, (size_t)(colon - fields));
        fputs(", ", out);
        json_string(out, value, (size_t)(end - value));
        fputs("]", out);
        separator = ", ";
    }
    fputs("]}", out);
}

static const char *field(const char *fields, const char *name)
{
    size_t len = strlen(name);

    for (const char *end; (end = strstr(fields, "\r\n")) != NULL; fields = end + 2)
        if (strncasecmp(fields, name, len) == 0 && fields[len] == ':')
            return fields + len + 1 + strspn(fields + len + 1, " \t");
    return NULL;
}

/* Reads the body away: a socket that is closed with bytes unread resets what was answered. A chunked
 * one is over at its last chunk, which has no trailers here. */
static bool drain(int fd, const char *fields, const char *begun, size_t have)
{
    const char *length = field(fields, "Content-Length"),
               *coding = field(fields, "Transfer-Encoding");
    size_t left = length == NULL ? 0 : strtoul(length, NULL, 10);
    char tail[5] = "", piece[65536];

    if (coding == NULL && have >= left)
        return true;
    for (left -= coding == NULL ? have : 0;; begun = piece) {
        size_t kept = have < sizeof tail ? have : sizeof tail;
        ssize_t got;

        memmove(tail, tail + kept, sizeof tail - kept);
        memcpy(tail + sizeof tail - kept, begun + have - kept, kept);
        if (coding != NULL ? memcmp(tail, "0\r\n\r\n", sizeof tail) == 0 : left == 0)
            return true;
        got = read(fd, piece, coding != NULL || left > sizeof piece ? sizeof piece : left);
        if (got <= 0)
            return false;
        have = (size_t)got;
        left -= coding == NULL ? have : 0;
    }
}

/* The whole answer, in memory of the caller's. */
static char *answer(const char *method, const char *target, const char *fields, size_t *len)
{
    char *body = NULL, *whole = NULL;
    const char *status = "200 OK", *type = "application/json";
    size_t size;
    FILE *out = open_memstream(&body, &size);
    size_t path = strcspn(target, "?");

    if (strncmp(target, "/heartbeat", path) == 0 && path == 10) {
        fputs("{\"status\": \"ok\"}", out);
    } else if (strncmp(target, "/init", path) == 0 && path == 5) {
        fputs("{}", out);
    } else if (strncmp(target, "/enabled", path) == 0 && path == 8) {
        fputs("{\"error\": \"\"}", out);
    } else if (strcmp(target, "/env") == 0) {
        tell_environment(out);
    } else if (strncmp(target, "/file?", 6) == 0) {
        type = "application/octet-stream";
        if (!tell_file(out, target + 6))
            status = "404 Not Found";
    } else {
        tell_request(out, method, target, fields);
    }
    fclose(out);
    out = open_memstream(&whole, len);
    fprintf(out,
            "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
            status, type, size);
    if (strcmp(method, "HEAD") != 0)
        fwrite(body, 1, size, out);
    fclose(out);
    free(body);
    return whole;
}

static void serve(int fd)
{
    static char head[MAX_HEAD + 1];
    size_t have = 0, len, sent = 0;
    char *end, *target, *version, *fields, *whole;

    while ((end = strstr(head, "\r\n\r\n")) == NULL) {
        ssize_t got = read(fd, head + have, MAX_HEAD - have);

        if (got <= 0)
            return;
        have += (size_t)got;
    }
    fields = strstr(head, "\r\n") + 2;
    fields[-2] = '\0';
    if ((target = strchr(head, ' ')) == NULL || (version = strchr(target + 1, ' ')) == NULL)
        return;
    *target++ = *version = '\0';
    end[2] = '\0'; /* the fields end here, as a string, with their last CRLF */
    if (!drain(fd, fields, end + 4, have - (size_t)(end + 4 - head)))
        return;
    printf("%s %s\n", head, target);
    fflush(stdout);
    whole = answer(head, target, fields, &len);
    for (ssize_t put; sent < len && (put = write(fd, whole + sent, len - sent)) > 0;)
        sent += (size_t)put;
    free(whole);
}

int main(int argc, char **argv)
{
    int listener;

    if (argc == 2 && strcmp(argv[1], "--health") == 0)
        return unix_socket(connect) >= 0 ? 0 : 1;
    signal(SIGTERM, on_term);
    if (argc == 4 && strcmp(argv[1], "--end-after") == 0) {
        usleep((useconds_t)(strtoul(argv[2], NULL, 10) * 1000));
        return (int)strtoul(argv[3], NULL, 10);
    }
    signal(SIGCHLD, SIG_IGN);
    unlink(SOCKET_PATH); /* of the run before, in the same container */
    listener = unix_socket(bind);
    if (listener < 0 || listen(listener, 64) != 0) {
        fprintf(stderr, "exapp: %s: %s\n", SOCKET_PATH, strerror(errno));
        return 1;
    }
    fprintf(stderr, "exapp: listening on %s\n", SOCKET_PATH);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        if (fork() == 0) {
            serve(fd);
            _exit(0);
        }
        close(fd);
    }
}
