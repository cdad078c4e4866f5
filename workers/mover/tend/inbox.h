/* Inbox: handles the messages that other units, and this one, have for this unit (punit.work_off in
 * sql/functions/punit/inbox.sql). */
#ifndef PUNIT_MOVER_TEND_INBOX_H
#define PUNIT_MOVER_TEND_INBOX_H

/* Body of the inbox's thread; ends when the process stops. */
void *inbox_run(void *unused);

#endif
