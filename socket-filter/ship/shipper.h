/* shipper.h - finds finished segments in the folder and brings them to the bucket, one after the other in
 * their order.
 *
 * A segment is finished when another one follows it, and verifies by itself: one that is broken is told and
 * left where it is, and the next one's turn comes. A segment stays until the bucket was seen to have it. What
 * is done already is told by the folder alone, so the program may be ended at any time.
 */
#ifndef HARP_SHIP_SHIPPER_H
#define HARP_SHIP_SHIPPER_H

#include "common/loop/loop.h"
#include "socket-filter/ship/config.h"

struct shipper;

/* once: ends the loop when it has done what there is to do. NULL: err says why. */
struct shipper *shipper_new(struct loop *loop, const struct ship_config *config, bool once,
                            char *err, size_t errlen) MUST_CHECK;
/* Tries what is waiting for its time, and all that was set aside, now. */
void shipper_hurry(struct shipper *s);
/* With `once`: whether anything could not be sent. */
bool shipper_failed(const struct shipper *s);
void shipper_free(struct shipper *s);

#endif
