#include "common/docker/archive.h"

#include <stdio.h>

/* Where an archive stands. */
enum state {
    AT_HEADER,
    IN_CONTENT,
    IN_PAX,
    IN_PADDING, /* of either; what it holds means nothing and does not go on */
    AT_SECOND_ZERO,
    ENDED,
    REFUSED,
};

/* Offsets and sizes in a header (POSIX.1-2017, pax, "ustar Interchange Format"). */
enum {
    NAME = 0,
    NAME_SIZE = 100,
    MODE = 100,
    UID = 108,
    GID = 116,
    ID_SIZE = 8, /* of mode, uid, gid and checksum */
    SIZE = 124,
    MTIME = 136,
    LONG_SIZE = 12, /* of size and mtime */
    CHECKSUM = 148,
    TYPE = 156,
    LINK = 157,
    LINK_SIZE = 100,
    MAGIC = 257,
    MAGIC_SIZE = 8, /* with the version */
    PREFIX = 345,
    PREFIX_SIZE = 155,
    REST = 500,
};

#define PATH_LEN_MAX (PREFIX_SIZE + 1 + NAME_SIZE)
#define NUMBER_MAX 077777777777u /* 11 digits: what fits a field with the NUL behind it */
#define NAME_TOLD_MAX 100u       /* bytes of a name in a message; a longer one is left out */

static const char ustar[MAGIC_SIZE] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
static const char gnu[MAGIC_SIZE] = {'u', 's', 't', 'a', 'r', ' ', ' ', 0};
static const char zeros[2 * DOCKER_ARCHIVE_BLOCK];

struct member {
    char text[PATH_LEN_MAX];
    struct str path; /* in text; a folder's without the slash at its end */
    bool folder;
    uint64_t mode, size, mtime;
};

/* ---- refusals ---- */

static int refuse(struct docker_archive *a, struct docker_verdict *v, const char *why)
{
    a->state = REFUSED;
    return docker_refuse(v, DOCKER_FAULT_NEVER, STR(""), why);
}

static int refuse_member(struct docker_archive *a, struct docker_verdict *v, struct str path,
                         enum docker_fault fault, struct str what, const char *why)
{
    char text[sizeof(v->why)];
    bool fit = path.n > 0 && path.n <= NAME_TOLD_MAX;
    for (size_t i = 0; fit && i < path.n; i++) {
        fit = path.p[i] >= 0x20 && path.p[i] <= 0x7e;
    }
    if (fit) {
        snprintf(text, sizeof(text), "archive member %.*s %s", STR_ARG(path), why);
    } else {
        snprintf(text, sizeof(text), "a member of the archive %s", why);
    }
    a->state = REFUSED;
    return docker_refuse(v, fault, what, text);
}

static int too_large(struct docker_archive *a, struct docker_verdict *v)
{
    refuse(a, v, "the archive is too large");
    v->status = 413;
    return v->status;
}

/* ---- fields ---- */

static bool is_zero(const void *p, size_t n)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < n; i++) {
        if (c[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Spaces, octal digits, then spaces and NULs up to the field's end. Programs agree on these alone: of NULs in
 * front, of a sign, of base 256 and of digits behind a NUL each makes something else. A field without digits
 * is 0 where `blank` allows that. */
static bool octal(const unsigned char *p, size_t n, bool blank, uint64_t *value)
{
    size_t i = 0, digits;
    *value = 0;
    while (i < n && p[i] == ' ') {
        i++;
    }
    for (digits = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++, digits++) {
        *value = *value * 8 + (p[i] - '0');
    }
    while (i < n && (p[i] == ' ' || p[i] == 0)) {
        i++;
    }
    return i == n && (digits > 0 || blank) && *value <= NUMBER_MAX;
}

/* Of bytes without sign. Those of a few old programs, which summed signed bytes, are the same where all
 * text is ASCII, and refused where not. */
static bool checksum_good(const unsigned char *h)
{
    uint64_t told;
    unsigned sum = 0;
    for (size_t i = 0; i < DOCKER_ARCHIVE_BLOCK; i++) {
        sum += i >= CHECKSUM && i < CHECKSUM + ID_SIZE ? ' ' : h[i];
    }
    return octal(h + CHECKSUM, ID_SIZE, false, &told) && told == sum;
}

/* Text up to the first NUL; false: something stands behind that. */
static bool text_field(const unsigned char *p, size_t n, struct str *text)
{
    *text = (struct str){(const char *)p, strnlen((const char *)p, n)};
    return is_zero(p + text->n, n - text->n);
}

/* The name with its prefix, as Go's reader joins them. */
static const char *read_path(const unsigned char *h, bool has_prefix, struct member *m)
{
    struct str name, prefix = STR("");
    bool good = text_field(h + NAME, NAME_SIZE, &name) &&
                (!has_prefix || text_field(h + PREFIX, PREFIX_SIZE, &prefix));
    size_t n = 0;
    if (prefix.n > 0) {
        memcpy(m->text, prefix.p, prefix.n);
        m->text[prefix.n] = '/';
        n = prefix.n + 1;
    }
    memcpy(m->text + n, name.p, name.n);
    m->path = (struct str){m->text, n + name.n};
    return good ? NULL : "has bytes behind the end of its name";
}

static const char *read_numbers(const unsigned char *h, struct member *m)
{
    uint64_t uid, gid;
    bool good = octal(h + MODE, ID_SIZE, true, &m->mode) && octal(h + UID, ID_SIZE, true, &uid) &&
                octal(h + GID, ID_SIZE, true, &gid) &&
                octal(h + SIZE, LONG_SIZE, false, &m->size) &&
                octal(h + MTIME, LONG_SIZE, true, &m->mtime);
    return good ? NULL : "has a number that is not plain octal";
}

/* ---- judging ---- */

static const char *kind_fault(unsigned char type)
{
    switch (type) {
    case '0':
    case '\0':
    case '5':
    case 'x':
        return NULL;
    case '1':
    case '2':
        return "is a link";
    case '3':
    case '4':
    case '6':
        return "is a device or a pipe";
    case 'L':
    case 'K':
        return "has a name of GNU's long kind";
    case 'S':
        return "is a sparse file";
    case 'g':
        return "is a pax header for all members";
    default:
        return "is neither a file nor a folder";
    }
}

/* No engine and no file system may find another name in it. A backslash is a slash to some. */
static const char *path_fault(struct str path)
{
    if (path.n == 0) {
        return "has no name";
    }
    if (path.p[0] == '/') {
        return "has a name that begins with a slash";
    }
    for (size_t i = 0; i < path.n; i++) {
        if (path.p[i] < 0x20 || path.p[i] > 0x7e || path.p[i] == '\\') {
            return "has a name with a character that is not taken";
        }
    }
    for (size_t from = 0, to; from <= path.n; from = to + 1) {
        const char *slash = from < path.n ? memchr(path.p + from, '/', path.n - from) : NULL;
        to = slash ? (size_t)(slash - path.p) : path.n;
        struct str part = {path.p + from, to - from};
        if (part.n == 0) {
            return "has a name with an empty part, or a slash at its end";
        }
        if (str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
            return "has a name with a part of dots";
        }
    }
    return NULL;
}

static bool lies_below(struct str path, struct str folder)
{
    return folder.n > 0 && path.n > folder.n && path.p[folder.n] == '/' &&
           memcmp(path.p, folder.p, folder.n) == 0;
}

enum place {
    OUTSIDE,
    LEADS, /* a folder above a granted one */
    WITHIN,
};

static enum place place_of(struct docker_words folders, const struct member *m)
{
    enum place place = OUTSIDE;
    for (size_t i = 0; i < folders.n; i++) {
        struct str folder = str_of(folders.p[i]);
        if (lies_below(m->path, folder) || (m->folder && str_eq(m->path, folder))) {
            return WITHIN;
        }
        if (m->folder && lies_below(folder, m->path)) {
            place = LEADS;
        }
    }
    return place;
}

/* The folder that would have to be granted; empty: none that could. */
static struct str folder_of(const struct member *m)
{
    const char *slash = memrchr(m->path.p, '/', m->path.n);
    return m->folder ? m->path : (struct str){m->path.p, slash ? (size_t)(slash - m->path.p) : 0};
}

/* ---- pax ---- */

static bool pax_time(struct str value)
{
    size_t i = value.n > 0 && value.p[0] == '-', digits = 0;
    bool point = false;
    for (; i < value.n; i++) {
        if (value.p[i] >= '0' && value.p[i] <= '9') {
            digits++;
        } else if (value.p[i] == '.' && !point && digits > 0) {
            point = true;
            digits = 0;
        } else {
            return false;
        }
    }
    return digits > 0;
}

/* Records are "<length> <key>=<value>\n", and the length counts all of that. Takes one off. */
static bool pax_record(struct str *records, struct str *key, struct str *value)
{
    size_t length = 0, i = 0;
    while (i < records->n && i < 5 && records->p[i] >= '0' && records->p[i] <= '9') {
        length = length * 10 + (size_t)(records->p[i++] - '0');
    }
    if (i == 0 || i == records->n || records->p[0] == '0' || records->p[i] != ' ' ||
        length > records->n || length < i + 2 || records->p[length - 1] != '\n') {
        return false;
    }
    struct str body = {records->p + i + 1, length - 1 - (i + 1)};
    const char *equals = memchr(body.p, '=', body.n);
    if (!equals) {
        return false;
    }
    *key = (struct str){body.p, (size_t)(equals - body.p)};
    *value = (struct str){equals + 1, body.n - key->n - 1};
    *records = (struct str){records->p + length, records->n - length};
    return true;
}

static const char *pax_fault(struct str records)
{
    struct str key, value;
    while (records.n > 0) {
        if (!pax_record(&records, &key, &value)) {
            return "the archive has a pax header that is malformed";
        }
        bool times =
            str_eq(key, STR("mtime")) || str_eq(key, STR("atime")) || str_eq(key, STR("ctime"));
        if (!times || !pax_time(value)) {
            return "the archive has a pax header that says more than times";
        }
    }
    return NULL;
}

static int begin_pax(struct docker_archive *a, const struct member *m, struct docker_verdict *v)
{
    if (a->after_pax) {
        return refuse(a, v, "the archive has two pax headers for one member");
    }
    if (m->size > DOCKER_ARCHIVE_PAX_MAX) {
        return refuse(a, v, "the archive has a pax header that is too long");
    }
    a->after_pax = true;
    a->left = m->size;
    a->padding = (uint32_t)(-m->size % DOCKER_ARCHIVE_BLOCK);
    if (m->size > 0) {
        a->state = IN_PAX;
    }
    return 0;
}

/* ---- writing ---- */

static void put_octal(unsigned char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i > 0; i--, value >>= 3) {
        field[i - 1] = (unsigned char)('0' + (value & 7));
    }
}

/* A name that is too long for its field is divided at the first slash behind which it fits. False: there
 * is none, which only the slash that is put behind a folder's name can bring about. */
static bool put_name(unsigned char *h, const struct member *m)
{
    char text[PATH_LEN_MAX + 1];
    size_t n = m->path.n, at = 0;
    memcpy(text, m->path.p, n);
    if (m->folder) {
        text[n++] = '/';
    }
    if (n > NAME_SIZE) {
        for (at = n - NAME_SIZE - 1; at < n - 1 && text[at] != '/'; at++) {
        }
        if (at > PREFIX_SIZE || at >= n - 1) {
            return false;
        }
        memcpy(h + PREFIX, text, at);
        at++;
    }
    memcpy(h + NAME, text + at, n - at);
    return true;
}

static bool put_header(const struct member *m, uint64_t mode, struct buf *out)
{
    unsigned char h[DOCKER_ARCHIVE_BLOCK] = {0};
    unsigned sum = 0;
    if (!put_name(h, m)) {
        return false;
    }
    put_octal(h + MODE, ID_SIZE, mode);
    put_octal(h + UID, ID_SIZE, 0);
    put_octal(h + GID, ID_SIZE, 0);
    put_octal(h + SIZE, LONG_SIZE, m->size);
    put_octal(h + MTIME, LONG_SIZE, m->mtime);
    memset(h + CHECKSUM, ' ', ID_SIZE); /* it counts as spaces */
    h[TYPE] = m->folder ? '5' : '0';
    memcpy(h + MAGIC, ustar, MAGIC_SIZE);
    for (size_t i = 0; i < sizeof(h); i++) {
        sum += h[i];
    }
    put_octal(h + CHECKSUM, ID_SIZE - 1, sum);
    h[CHECKSUM + ID_SIZE - 2] = 0;
    buf_append(out, h, sizeof(h));
    return true;
}

/* ---- the archive ---- */

void docker_archive_init(struct docker_archive *a, const struct docker_grants *grants, uint64_t max)
{
    *a = (struct docker_archive){.grants = grants, .max = max, .state = AT_HEADER};
}

/* A file or folder whose header is well-formed. */
static int on_member(struct docker_archive *a, struct member *m, struct buf *out,
                     struct docker_verdict *v)
{
    if (m->folder && m->path.n > 0 && m->path.p[m->path.n - 1] == '/') {
        m->path.n--;
    }
    const char *why = path_fault(m->path);
    if (!why && m->mode & 07000) {
        why = "has a set-id or sticky bit";
    }
    if (!why && m->folder && m->size > 0) {
        why = "is a folder with content";
    }
    if (why) {
        return refuse_member(a, v, m->path, DOCKER_FAULT_NEVER, STR(""), why);
    }
    if (a->members == DOCKER_ARCHIVE_MEMBERS) {
        return refuse(a, v, "the archive has too many members");
    }
    uint32_t padding = (uint32_t)(-m->size % DOCKER_ARCHIVE_BLOCK);
    if (m->size + padding > a->max - a->seen) {
        return too_large(a, v);
    }
    enum place place = place_of(a->grants->archive, m);
    if (place == OUTSIDE) {
        struct str folder = folder_of(m);
        return refuse_member(a, v, m->path,
                             folder.n > 0 ? DOCKER_FAULT_ARCHIVE : DOCKER_FAULT_NEVER, folder,
                             "is not below a folder that the policy lists");
    }
    /* An engine gives a folder that is there the member's mode, too. Nobody in the container is to get hold
     * of its /usr or /etc so. */
    if (!put_header(m, m->mode & (place == LEADS ? 0755 : 0777), out)) {
        return refuse_member(a, v, m->path, DOCKER_FAULT_NEVER, STR(""), "has too long a name");
    }
    a->members++;
    a->after_pax = false;
    a->left = m->size;
    a->padding = padding;
    if (m->size > 0) {
        a->state = IN_CONTENT;
    }
    return 0;
}

static int on_header(struct docker_archive *a, struct buf *out, struct docker_verdict *v)
{
    const unsigned char *h = a->block;
    struct member m = {.folder = h[TYPE] == '5'};
    if (!checksum_good(h)) {
        return refuse(a, v, "the archive has a header with a wrong checksum");
    }
    bool is_ustar = memcmp(h + MAGIC, ustar, MAGIC_SIZE) == 0;
    if (!is_ustar && memcmp(h + MAGIC, gnu, MAGIC_SIZE) != 0) {
        return refuse(a, v, "the archive is neither ustar, pax nor GNU tar");
    }
    const char *why = read_path(h, is_ustar, &m);
    if (!why) {
        why = kind_fault(h[TYPE]);
    }
    if (!why) {
        why = read_numbers(h, &m);
    }
    /* GNU tar keeps times and sparse maps where ustar has the prefix; star's own fields end in REST. */
    if (!why && !is_zero(h + (is_ustar ? REST : PREFIX),
                         DOCKER_ARCHIVE_BLOCK - (is_ustar ? REST : PREFIX))) {
        why = "has fields of a kind that is not taken";
    }
    if (!why && !is_zero(h + LINK, LINK_SIZE)) {
        why = "has the target of a link";
    }
    if (why) {
        return refuse_member(a, v, m.path, DOCKER_FAULT_NEVER, STR(""), why);
    }
    return h[TYPE] == 'x' ? begin_pax(a, &m, v) : on_member(a, &m, out, v);
}

static int on_block(struct docker_archive *a, struct buf *out, struct docker_verdict *v)
{
    bool zero = is_zero(a->block, sizeof(a->block));
    if (a->state == AT_SECOND_ZERO) {
        a->state = ENDED;
        return zero ? 0 : refuse(a, v, "the archive goes on behind its end");
    }
    if (!zero) {
        return on_header(a, out, v);
    }
    a->state = AT_SECOND_ZERO;
    return a->after_pax ? refuse(a, v, "the archive has a pax header without a member") : 0;
}

/* How many bytes the archive takes at most before its state may change. */
static uint64_t wanted(const struct docker_archive *a)
{
    switch ((enum state)a->state) {
    case AT_HEADER:
    case AT_SECOND_ZERO:
        return DOCKER_ARCHIVE_BLOCK - a->have;
    case IN_CONTENT:
    case IN_PAX:
        return a->left;
    case IN_PADDING:
        return a->padding;
    case ENDED:
    case REFUSED:
        break;
    }
    return UINT64_MAX;
}

/* Takes n bytes, no more than are wanted. */
static int step(struct docker_archive *a, const char *p, size_t n, struct buf *out,
                struct docker_verdict *v)
{
    switch ((enum state)a->state) {
    case AT_HEADER:
    case AT_SECOND_ZERO:
        memcpy(a->block + a->have, p, n);
        a->have += n;
        if (a->have < DOCKER_ARCHIVE_BLOCK) {
            return 0;
        }
        a->have = 0;
        return on_block(a, out, v);
    case IN_CONTENT:
        buf_append(out, p, n);
        a->left -= n;
        if (a->left == 0) {
            buf_append(out, zeros, a->padding);
            a->state = a->padding > 0 ? IN_PADDING : AT_HEADER;
        }
        return 0;
    case IN_PAX:
        memcpy(a->pax + a->have, p, n);
        a->have += n;
        a->left -= n;
        if (a->left == 0) {
            const char *why = pax_fault((struct str){a->pax, a->have});
            a->have = 0;
            a->state = a->padding > 0 ? IN_PADDING : AT_HEADER;
            return why ? refuse(a, v, why) : 0;
        }
        return 0;
    case IN_PADDING:
        a->padding -= (uint32_t)n;
        if (a->padding == 0) {
            a->state = AT_HEADER;
        }
        return 0;
    case ENDED:
        return is_zero(p, n) ? 0 : refuse(a, v, "the archive goes on behind its end");
    case REFUSED:
        break;
    }
    return refuse(a, v, "the archive was refused");
}

int docker_archive_feed(struct docker_archive *a, const char *p, size_t n, struct buf *out,
                        struct docker_verdict *verdict)
{
    verdict->status = 0;
    while (n > 0 && verdict->status == 0) {
        size_t used = (size_t)MIN(MIN((uint64_t)n, a->max - a->seen), wanted(a));
        if (used == 0) {
            return too_large(a, verdict);
        }
        a->seen += used;
        verdict->status = step(a, p, used, out, verdict);
        p += used;
        n -= used;
    }
    return verdict->status;
}

int docker_archive_end(struct docker_archive *a, struct buf *out, struct docker_verdict *verdict)
{
    verdict->status = 0;
    if (a->state != ENDED) {
        return refuse(a, verdict, "the archive stops before its end");
    }
    a->state = REFUSED; /* nothing may come behind it */
    buf_append(out, zeros, sizeof(zeros));
    return 0;
}
