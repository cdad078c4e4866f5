/* Datagram: the socket on which the NGINX module reports. */
#ifndef PUNIT_MOVER_QUEUE_DATAGRAM_H
#define PUNIT_MOVER_QUEUE_DATAGRAM_H

/* Binds the unix datagram socket and replaces what a dead process left. -1 after a log line. */
int datagram_open(const char *path);

/* Reads every datagram that waits. 'f' lines go to queue.h, 'l' lines to local_seen.h. */
void datagram_read(int fd);

/* Sends the evidence of queue.h into the socket, for the mover that reads it next. */
void datagram_hand_on(int fd);

#endif
