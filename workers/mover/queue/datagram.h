/* Datagram: the socket on which the NGINX module reports. */
#ifndef PUNIT_MOVER_QUEUE_DATAGRAM_H
#define PUNIT_MOVER_QUEUE_DATAGRAM_H

/* Binds the unix datagram socket, replacing what a dead process left; -1 after a log line. */
int datagram_open(const char *path);

/* Reads every datagram that waits and hands its lines on: 'f' to visitor.h, 'l' to seen.h. */
void datagram_read(int fd);

#endif
