//! What must happen, event by event. The language is that of [`crate::script`].

use crate::script::check;

#[test]
fn a_job_runs_map_tasks_then_reduce_tasks_then_commits_once() {
    check(
        "join w1 2
         plan j1 3x2          -> launch m0.1 w1, launch m1.1 w1
         mapped w1 m1.1 8     -> won m1.1, launch m2.1 w1
         mapped w1 m0.1 7     -> won m0.1
         mapped w1 m2.1 9     -> won m2.1, launch r0.1 w1, launch r1.1 w1
         reduced w1 r1.1      -> won r1.1
         reduced w1 r0.1      -> won r0.1, commit r0.1 r1.1
         done j1              -> end ok
         done j1",
    );
}
