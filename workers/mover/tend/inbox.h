/* Inbox: works off what other units, and this one, have to tell it (punit.work_off in
 * sql/functions/punit/inbox.sql). */
#ifndef PUNIT_MOVER_TEND_INBOX_H
#define PUNIT_MOVER_TEND_INBOX_H

/* Body of the inbox's thread; ends when the process stops. */
void *inbox_run(void *unused);

#endif
