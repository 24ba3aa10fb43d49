/* hop.h - which hop a failure is at; the body of the answer, and the log, name it. */
#ifndef HARP_HUB_HOP_H
#define HARP_HUB_HOP_H

enum hop { HOP_NONE, HOP_HUB, HOP_NEXTCLOUD, HOP_TUNNEL, HOP_EXAPP, HOP_ENGINE };

/* "tunnel", "ExApp", ... */
const char *hop_name(enum hop hop);

#endif
