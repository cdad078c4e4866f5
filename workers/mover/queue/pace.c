#include "mover/queue/pace.h"

#include <math.h>

#define USUAL_FIRST_MS 20
#define USUAL_MOST_MS  200
#define USUAL_OF       8 /* an average of about so many */


void
pace_init(pace_t *pace, int share)
{
    *pace = (pace_t){ .share = share, .usual_ms = USUAL_FIRST_MS };
}


/* From the start of the work to the start of the next. */
static double
turn_ms(const pace_t *pace, double worked_ms)
{
    return worked_ms * 100 / pace->share;
}


void
pace_start(pace_t *pace, paced_t *move, double now)
{
    *move = (paced_t){ .since = now, .ahead_ms = pace->usual_ms };
    pace->free_at = fmax(pace->free_at, now) + turn_ms(pace, move->ahead_ms);
}


double
pace_worked(pace_t *pace, paced_t *move, double now, double idle_ms)
{
    double worked_ms = fmax(now - move->since - idle_ms, 0);
    double turn = turn_ms(pace, worked_ms);
    double rest_ms = fmax(turn - (now - move->since), 0);

    pace->free_at = fmax(pace->free_at - turn_ms(pace, move->ahead_ms), move->since) + turn;
    move->ahead_ms = 0;
    move->worked_ms += worked_ms;
    move->since = now + rest_ms;
    return rest_ms;
}


void
pace_end(pace_t *pace, paced_t *move, double now, double idle_ms)
{
    pace_worked(pace, move, now, idle_ms);
    pace->usual_ms += (fmin(move->worked_ms, USUAL_MOST_MS) - pace->usual_ms) / USUAL_OF;
}
