#include "mover/queue/pacer.h"

#include <math.h>

#define USUAL_FIRST_MS 20
#define USUAL_MOST_MS  200
#define USUAL_OF       8 /* The average covers about so many moves. */


void
pacer_init(pacer_t *pacer, int share)
{
    *pacer = (pacer_t){ .share = share, .usual_ms = USUAL_FIRST_MS };
}


/* From the start of this work to the start of the next. */
static double
turn_ms(const pacer_t *pacer, double worked_ms)
{
    return worked_ms * 100 / pacer->share;
}


void
pacer_start(pacer_t *pacer, pacer_work_t *move, double now)
{
    *move = (pacer_work_t){ .since = now, .ahead_ms = pacer->usual_ms };
    pacer->free_at = fmax(pacer->free_at, now) + turn_ms(pacer, move->ahead_ms);
}


double
pacer_worked(pacer_t *pacer, pacer_work_t *move, double now, double idle_ms)
{
    double worked_ms = fmax(now - move->since - idle_ms, 0);
    double turn = turn_ms(pacer, worked_ms);
    double rest_ms = fmax(turn - (now - move->since), 0);

    pacer->free_at = fmax(pacer->free_at - turn_ms(pacer, move->ahead_ms), move->since) + turn;
    move->ahead_ms = 0;
    move->worked_ms += worked_ms;
    move->since = now + rest_ms;
    return rest_ms;
}


void
pacer_end(pacer_t *pacer, pacer_work_t *move, double now, double idle_ms)
{
    pacer_worked(pacer, move, now, idle_ms);
    pacer->usual_ms += (fmin(move->worked_ms, USUAL_MOST_MS) - pacer->usual_ms) / USUAL_OF;
}
