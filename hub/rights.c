#include "hub/rights.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/system/user.h"
#include "hub/tunnel/certs_owner.h"

static void certs_log(void *arg, enum certs_level level, const char *text)
{
    LOG_AT((struct log *)arg, level == CERTS_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "certs",
           0, "%s", text);
}

int rights_give_up(const struct hub_settings *set, struct log *log, char *err, size_t errlen)
{
    struct user user = {.change = false};
    struct stat st;
    char who[USER_TEXT_MAX], why[512];
    if (!*set->user) {
        return 0;
    }
    if (geteuid() == 0) {
        if (user_find(set->user, &user, err, errlen) < 0) {
            return -1;
        }
        certs_hand_over(set->certs_dir, user.uid, user.gid, certs_log, log);
    }
    /* Without an engine of its own, or with one that comes later, it serves those behind tunnels. */
    if ((stat(set->docker_socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
         user_keep_group(&user, set->docker_socket, err, errlen) < 0) ||
        user_become(&user, err, errlen) < 0 || user_no_way_up(err, errlen) < 0) {
        return -1;
    }
    log_info(log, "rights", 0, "%s, no capabilities, no new privileges", user_text(who));
    if (user_check_reach(&user, why, sizeof(why)) < 0) {
        log_warning(log, "rights", 0, "%s", why);
    }
    return 0;
}
