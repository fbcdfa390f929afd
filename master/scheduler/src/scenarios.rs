//! What must happen, event by event. The language is that of [`crate::script`].

use crate::Settings;
use crate::script::{check, check_with};

#[test]
fn a_job_runs_map_tasks_then_reduce_tasks_then_commits_once() {
    let play = check(
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
    assert!(play.scheduler.is_idle());
    assert_eq!(play.scheduler.stale_events(), 1);
}

#[test]
fn a_job_without_input_reduces_nothing() {
    check(
        "join w1 1
         plan j1 0x2          -> launch r0.1 w1
         reduced w1 r0.1      -> won r0.1, launch r1.1 w1
         reduced w1 r1.1      -> won r1.1, commit r0.1 r1.1
         done j1              -> end ok",
    );
}

#[test]
fn attempts_go_where_most_slots_are_free() {
    check(
        "join w1 1
         join w2 3
         plan j1 4x1          -> launch m0.1 w2, launch m1.1 w2, launch m2.1 w1, launch m3.1 w2",
    );
}

#[test]
fn two_jobs_take_turns() {
    check(
        "join w1 1
         plan j1 2x1          -> launch m0.1 w1
         plan j2 2x1
         mapped w1 m0.1 1     -> won m0.1, launch j2:m0.1 w1
         mapped w1 j2:m0.1 1  -> won j2:m0.1, launch m1.1 w1
         mapped w1 m1.1 1     -> won m1.1, launch j2:m1.1 w1
         mapped w1 j2:m1.1 1  -> won j2:m1.1, launch r0.1 w1
         reduced w1 r0.1      -> won r0.1, commit r0.1, launch j2:r0.1 w1
         failed w1 j2:r0.1 input gone -> end Input: reduce task r0 cannot read its input: attempt r0.1 on worker w1: gone
         done j1              -> end ok",
    );
}

#[test]
fn short_map_tasks_wait_at_a_worker_until_few_are_left() {
    let settings = Settings {
        ahead_per_slot: 1,
        ahead_after: 1,
        ..Settings::default()
    };
    check_with(
        settings.clone(),
        "join w1 1
         plan j1 4x1          -> launch m0.1 w1
         mapped w1 m0.1 1     -> won m0.1, launch m1.1 w1, launch m2.1 w1
         mapped w1 m1.1 1     -> won m1.1
         mapped w1 m2.1 1     -> won m2.1, launch m3.1 w1
         mapped w1 m3.1 1     -> won m3.1, launch r0.1 w1",
    );
    // What waits would keep the slot from the other job.
    check_with(
        settings,
        "join w1 1
         plan j1 9x1          -> launch m0.1 w1
         plan j2 1x1
         mapped w1 m0.1 1     -> won m0.1, launch j2:m0.1 w1",
    );
}

#[test]
fn attempts_of_a_silent_worker_run_elsewhere_and_its_late_report_changes_nothing() {
    let play = check(
        "join w1 1
         join w2 1
         plan j1 1x1          -> launch m0.1 w1
         wait 11900 w2
         wait 200 w2          -> fence w1, (worker), launch m0.2 w2
         mapped w1 m0.1 7
         beat w1 m0.1
         mapped w2 m0.2 7     -> won m0.2, launch r0.1 w2
         mapped w1 m0.1 8     -> (differs)
         reduced w1 r0.1
         reduced w2 r0.1      -> won r0.1, commit r0.1
         gone w1
         done j1              -> end ok",
    );
    let stats = play.scheduler.stats(mapfold_terms::JobId(1)).unwrap();
    assert_eq!(
        (stats.attempts, stats.attempts_lost, stats.workers_lost),
        (3, 1, 1)
    );
    assert_eq!(stats.stale_reports, 3);
}

#[test]
fn a_worker_that_joins_again_is_another_one_and_dead_ids_stay_dead() {
    check(
        "join w1 1
         gone w1              -> fence w1
         join w1 1
         plan j1 1x1
         beat w1
         join w2 1            -> launch m0.1 w2",
    );
}

#[test]
fn finished_map_tasks_of_a_lost_worker_run_again_while_reduces_need_them() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x2          -> launch m0.1 w1, launch m1.1 w2
         mapped w1 m0.1 7     -> won m0.1
         gone w1              -> fence w1, lost m0, (worker)
         mapped w2 m1.1 8     -> won m1.1, launch m0.2 w2
         mapped w2 m0.2 7     -> won m0.2, launch r0.1 w2
         reduced w2 r0.1      -> won r0.1, launch r1.1 w2
         reduced w2 r1.1      -> won r1.1, commit r0.1 r1.1",
    );
}

#[test]
fn a_rerun_with_an_equal_digest_keeps_what_reduces_did() {
    check(
        "join w1 1
         join w2 2
         plan j1 1x3          -> launch m0.1 w2
         mapped w2 m0.1 7     -> won m0.1, launch r0.1 w2, launch r1.1 w1, launch r2.1 w2
         reduced w2 r0.1      -> won r0.1
         gone w2              -> fence w2, lost m0, (worker)
         join w3 1            -> (worker), launch m0.2 w3
         reduced w1 r1.1      -> won r1.1
         mapped w3 m0.2 7     -> won m0.2, launch r2.2 w1
         reduced w1 r2.2      -> won r2.2, commit r0.1 r1.1 r2.2",
    );
}

#[test]
fn a_rerun_with_another_digest_rolls_back_won_reduces_and_stops_running_ones() {
    let play = check(
        "join w1 2
         join w2 1
         plan j1 1x3          -> launch m0.1 w1
         mapped w1 m0.1 7     -> won m0.1, launch r0.1 w1, launch r1.1 w1, launch r2.1 w2
         reduced w1 r0.1      -> won r0.1
         nofetch w1 r1.1 m0.1 w1 corrupt -> (retry), lost m0, discard m0.1 w1
         wait 1900 w1 w2
         wait 200 w1 w2       -> (retry), cancel r2.1 w2
         cancelled w2 r2.1    -> launch m0.2 w2
         mapped w2 m0.2 8     -> won m0.2, lost r0, (rollback), launch r0.2 w1, launch r1.2 w1, launch r2.2 w2
         reduced w1 r0.1
         reduced w1 r0.2      -> won r0.2
         reduced w1 r1.2      -> won r1.2
         reduced w2 r2.2 7    -> (retry), launch r2.3 w1
         reduced w1 r2.3      -> won r2.3, commit r0.2 r1.2 r2.3",
    );
    let stats = play.scheduler.stats(mapfold_terms::JobId(1)).unwrap();
    assert_eq!((stats.rollbacks, stats.maps_rerun), (1, 1));
}

#[test]
fn running_reduces_start_again_when_a_run_they_may_have_read_is_replaced() {
    check(
        "join w1 1
         join w2 1
         plan j1 1x1          -> launch m0.1 w1
         mapped w1 m0.1 7     -> won m0.1, launch r0.1 w1
         gone w1              -> fence w1, lost m0, (worker), launch m0.2 w2
         mapped w2 m0.2 8     -> won m0.2, launch r0.2 w2
         reduced w2 r0.2      -> won r0.2, commit r0.2",
    );
    check(
        "join w1 1
         join w2 2
         plan j1 2x1          -> launch m0.1 w2, launch m1.1 w1
         mapped w2 m0.1 7     -> won m0.1
         mapped w1 m1.1 7     -> won m1.1, launch r0.1 w2
         gone w1              -> fence w1, lost m1, (worker), launch m1.2 w2
         mapped w2 m1.2 8     -> won m1.2, cancel r0.1 w2, (rollback), launch r0.2 w2
         reduced w2 r0.1
         reduced w2 r0.2      -> won r0.2, commit r0.2",
    );
}

#[test]
fn too_many_rollbacks_fail_the_job() {
    let settings = Settings {
        rollbacks_max: 1,
        ..Settings::default()
    };
    check_with(
        settings,
        "join w1 2
         join w9 1
         plan j1 1x2          -> launch m0.1 w1
         mapped w1 m0.1 1     -> won m0.1, launch r0.1 w1, launch r1.1 w1
         reduced w1 r0.1      -> won r0.1
         gone w1              -> fence w1, lost m0, (worker), launch m0.2 w9
         mapped w9 m0.2 2     -> won m0.2, lost r0, (rollback), launch r0.2 w9
         reduced w9 r0.2      -> won r0.2, launch r1.2 w9
         gone w9              -> fence w9, lost m0, (worker), (waiting)
         join w3 1            -> (worker), launch m0.3 w3
         mapped w3 m0.3 3     -> won m0.3, lost r0, end Rollbacks: the job is not deterministic; and was rolled back 1 times already: m0.3 left other records than the earlier attempt: 1 finished and 0 running reduce tasks start again",
    );
}

#[test]
fn a_lost_map_task_does_not_hold_up_a_job_whose_reduces_are_done() {
    check(
        "join w1 1
         join w2 2
         plan j1 1x2          -> launch m0.1 w2
         mapped w2 m0.1 7     -> won m0.1, launch r0.1 w2, launch r1.1 w1
         reduced w2 r0.1      -> won r0.1
         gone w2              -> fence w2, lost m0, (worker)
         join w3 1            -> (worker), launch m0.2 w3
         reduced w1 r1.1      -> won r1.1, cancel m0.2 w3, commit r0.1 r1.1
         gone w3              -> fence w3, (worker)
         gone w1              -> fence w1, (worker)
         wait 60000
         done j1              -> end ok",
    );
}

#[test]
fn four_failures_of_one_task_fail_the_job_with_the_first_and_on_two_workers() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         failed w1 m0.1 job first -> (retry)
         mapped w2 m1.1 7     -> won m1.1, launch m0.2 w2
         failed w2 m0.2 job second -> (retry), launch m0.3 w1
         failed w1 m0.3 job third -> (retry), launch m0.4 w1
         failed w1 m0.4 job fourth -> end TaskFailed: map task m0 failed 4 of 4 attempts: attempt m0.1 on worker w1: first",
    );
    check(
        "join w1 1
         plan j1 0x1/2        -> launch r0.1 w1
         failed w1 r0.1 job a -> (retry), launch r0.2 w1
         failed w1 r0.2 job b -> end TaskFailed: reduce task r0 failed 2 of 2 attempts: attempt r0.1 on worker w1: a",
    );
}

#[test]
fn the_same_failure_on_the_same_record_fails_the_job_at_once_but_on_two_workers() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         failed w1 m0.1 at 9 bad -> (retry)
         mapped w2 m1.1 7     -> won m1.1, launch m0.2 w2
         failed w2 m0.2 at 9 bad -> end TaskFailed: map task m0 fails on the same record each time (2 attempts): attempt m0.1 on worker w1: bad",
    );
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         failed w1 m0.1 at 9 bad -> (retry), launch m0.2 w1
         failed w1 m0.2 at 9 bad -> end TaskFailed: map task m0 fails on the same record each time (2 attempts): attempt m0.1 on worker w1: bad",
    );
    // A thread or a process has another number each time.
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         failed w1 m0.1 at 9 thread-17 -> (retry), launch m0.2 w1
         failed w1 m0.2 at 9 thread-19 -> end TaskFailed: map task m0 fails on the same record each time (2 attempts): attempt m0.1 on worker w1: thread-17",
    );
}

#[test]
fn a_failure_that_moves_or_changes_is_tried_four_times() {
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         failed w1 m0.1 at 9 bad -> (retry), launch m0.2 w1
         failed w1 m0.2 at 10 bad -> (retry), launch m0.3 w1
         failed w1 m0.3 at 10 worse -> (retry), launch m0.4 w1
         mapped w1 m0.4 7     -> won m0.4, launch r0.1 w1",
    );
}

#[test]
fn more_skipped_records_than_the_job_allows_fail_it() {
    check(
        "join w1 1
         plan j1 2x1          -> launch m0.1 w1
         skipping w1 m0.1 7 2 -> won m0.1, launch m1.1 w1
         skipping w1 m1.1 7 1 -> won m1.1, end TaskFailed: `map` fails on 3 records so far; and 2 may be skipped: map task m1 failed on one of them: bad",
    );
    // What a lost winner skipped is skipped again by the next one, and counts once.
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         skipping w1 m0.1 7 2 -> won m0.1, launch r0.1 w1
         gone w1              -> fence w1, lost m0, (worker), (waiting)
         join w2 1            -> (worker), launch m0.2 w2
         skipping w2 m0.2 7 2 -> won m0.2, launch r0.2 w2
         reduced w2 r0.2      -> won r0.2, commit r0.2",
    );
}

#[test]
fn a_failed_task_waits_for_another_worker_while_others_pass_it() {
    check(
        "join w1 1
         join w2 1
         plan j1 3x1          -> launch m0.1 w1, launch m1.1 w2
         failed w1 m0.1 job x -> (retry), launch m2.1 w1
         mapped w1 m2.1 1     -> won m2.1
         gone w2              -> fence w2, (worker), launch m1.2 w1
         mapped w1 m1.2 1     -> won m1.2, launch m0.2 w1",
    );
}

#[test]
fn a_failure_of_the_input_fails_the_job_at_once() {
    let play = check(
        "join w1 2
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w1
         failed w1 m0.1 input changed -> cancel m1.1 w1, end Input: map task m0 cannot read its input: attempt m0.1 on worker w1: changed
         mapped w1 m1.1 3",
    );
    assert!(play.scheduler.is_idle());
}

#[test]
fn failures_of_a_worker_count_for_the_worker() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         failed w1 m0.1 worker full -> (retry)
         mapped w2 m1.1 1     -> won m1.1, launch m0.2 w2
         mapped w2 m0.2 1     -> won m0.2, launch r0.1 w2
         reduced w2 r0.1      -> won r0.1, commit r0.1",
    );
}

#[test]
fn a_task_that_no_worker_can_run_fails_the_job() {
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         failed w1 m0.1 space full -> (retry)
         wait 200 w1
         wait 100 w1          -> launch m0.2 w1
         failed w1 m0.2 worker broken -> (retry)
         wait 600 w1          -> launch m0.3 w1
         failed w1 m0.3 worker broken -> (retry)
         wait 1100 w1         -> launch m0.4 w1
         failed w1 m0.4 space full -> end NoSpace: map task m0 could not be run by any worker (4 attempts): attempt m0.4 on worker w1: full",
    );
}

#[test]
fn only_a_lack_of_space_is_called_one() {
    for (what, reason) in [
        ("worker", "TaskFailed"),
        ("space", "NoSpace"),
        ("output", "Output"),
    ] {
        check(&format!(
            "join w1 1
             plan j1 1x1          -> launch m0.1 w1
             failed w1 m0.1 space full -> (retry)
             wait 300 w1          -> launch m0.2 w1
             failed w1 m0.2 worker full -> (retry)
             wait 600 w1          -> launch m0.3 w1
             failed w1 m0.3 output full -> (retry)
             wait 1100 w1         -> launch m0.4 w1
             failed w1 m0.4 {what} bad -> end {reason}: map task m0 could not be run by any worker (4 attempts): attempt m0.4 on worker w1: bad"
        ));
    }
}

#[test]
fn a_run_that_its_holder_lost_is_made_again() {
    for cause in ["notfound", "corrupt"] {
        check(&format!(
            "join w1 1
             join w2 1
             plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
             mapped w1 m0.1 7     -> won m0.1
             mapped w2 m1.1 8     -> won m1.1, launch r0.1 w1
             nofetch w1 r0.1 m1.1 w2 {cause} -> (retry), lost m1, discard m1.1 w2, launch m1.2 w1
             mapped w1 m1.2 8     -> won m1.2, launch r0.2 w1
             reduced w1 r0.2      -> won r0.2, commit r0.2"
        ));
    }
}

#[test]
fn a_run_out_of_reach_is_tried_from_elsewhere_and_made_again_the_second_time() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         mapped w1 m0.1 7     -> won m0.1
         mapped w2 m1.1 8     -> won m1.1, launch r0.1 w1
         nofetch w1 r0.1 m1.1 w2 unreachable -> (retry)
         wait 300 w1 w2       -> launch r0.2 w2
         nofetch w2 r0.2 m1.1 w2 unreachable -> (worker), (retry), lost m1, launch m1.2 w1
         mapped w1 m1.2 8     -> won m1.2, launch r0.3 w1",
    );
}

#[test]
fn a_fetch_failure_about_a_run_that_was_replaced_just_starts_the_reduce_again() {
    check(
        "join w1 1
         join w2 2
         plan j1 2x1          -> launch m0.1 w2, launch m1.1 w1
         mapped w2 m0.1 7     -> won m0.1
         mapped w1 m1.1 8     -> won m1.1, launch r0.1 w2
         gone w1              -> fence w1, lost m1, (worker), launch m1.2 w2
         mapped w2 m1.2 8     -> won m1.2
         nofetch w2 r0.1 m1.1 w1 unreachable -> (retry), launch r0.2 w2
         reduced w2 r0.2      -> won r0.2, commit r0.2",
    );
}

#[test]
fn a_holder_that_lost_several_runs_has_lost_all() {
    check(
        "join w1 4
         join w2 1
         plan j1 5x1          -> launch m0.1 w1, launch m1.1 w1, launch m2.1 w1, launch m3.1 w1, launch m4.1 w2
         mapped w1 m0.1 1     -> won m0.1
         mapped w1 m1.1 1     -> won m1.1
         mapped w1 m2.1 1     -> won m2.1
         mapped w1 m3.1 1     -> won m3.1
         mapped w2 m4.1 1     -> won m4.1, launch r0.1 w1
         nofetch w1 r0.1 m0.1 w1 notfound -> (retry), lost m0, discard m0.1 w1, launch m0.2 w2
         mapped w2 m0.2 1     -> won m0.2, launch r0.2 w1
         nofetch w1 r0.2 m1.1 w1 notfound -> (retry), lost m1, discard m1.1 w1, launch m1.2 w2
         mapped w2 m1.2 1     -> won m1.2, launch r0.3 w1
         nofetch w1 r0.3 m2.1 w1 notfound -> (retry), lost m2, lost m3, discard m2.1 w1, launch m2.2 w2",
    );
}

#[test]
fn a_run_that_is_lost_again_and_again_fails_the_job() {
    let settings = Settings {
        run_losses_max: 1,
        ..Settings::default()
    };
    check_with(
        settings,
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         mapped w1 m0.1 1     -> won m0.1, launch r0.1 w1
         nofetch w1 r0.1 m0.1 w1 notfound -> (retry), lost m0, discard m0.1 w1, launch m0.2 w1
         mapped w1 m0.2 1     -> won m0.2, launch r0.2 w1
         nofetch w1 r0.2 m0.2 w1 notfound -> (retry), end TaskFailed: the run of map task m0 was lost 2 times: r0.2 on w1: w1 has no run of m0.2: because",
    );
}

#[test]
fn reports_that_come_twice_late_or_from_the_wrong_worker_change_nothing() {
    let play = check(
        "join w1 1
         join w2 1
         plan j1 1x1          -> launch m0.1 w1
         mapped w2 m0.1 7     -> discard m0.1 w2
         mapped w1 m0.1 7     -> won m0.1, launch r0.1 w1
         mapped w1 m0.1 7
         mapped w1 m0.1 9
         failed w1 m0.1 job x
         reduced w1 r0.1 9    -> (retry), launch r0.2 w1
         reduced w1 r0.2 7    -> won r0.2, commit r0.2
         reduced w1 r0.2
         done j1              -> end ok
         mapped w1 m0.1 7",
    );
    assert_eq!(play.scheduler.stale_events(), 6);
}

#[test]
fn an_order_that_never_arrived_is_given_again() {
    check(
        "join w1 1
         join w2 1
         plan j1 1x1          -> launch m0.1 w1
         wait 4000 w2
         beat w1
         wait 1500 w2
         beat w1              -> cancel m0.1 w1, (retry), launch m0.2 w1
         mapped w1 m0.1 7     -> discard m0.1 w1
         beat w1 m0.1         -> cancel m0.1 w1",
    );
}

#[test]
fn a_worker_that_takes_no_orders_is_dead() {
    let settings = Settings {
        unconfirmed_max: 2,
        ..Settings::default()
    };
    check_with(
        settings,
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         wait 6000
         beat w1              -> cancel m0.1 w1, (retry), launch m0.2 w1
         wait 6000
         beat w1              -> cancel m0.2 w1, (retry), fence w1, (worker), (waiting)
         join w2 1            -> (worker), launch m0.3 w2",
    );
}

#[test]
fn a_stopped_attempt_keeps_its_slot_until_the_worker_is_rid_of_it() {
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         cancel j1            -> cancel m0.1 w1, end cancelled
         plan j2 1x1
         cancelled w1 m0.1    -> launch j2:m0.1 w1
         cancel j2            -> cancel j2:m0.1 w1, end cancelled
         plan j3 1x1
         beat w1
         wait 5100
         beat w1 j2:m0.1      -> cancel j2:m0.1 w1
         wait 5100
         beat w1              -> launch j3:m0.1 w1",
    );
}

#[test]
fn a_job_can_be_cancelled_at_any_time() {
    check(
        "plan j1 1x1
         cancel j1            -> end cancelled
         cancel j1
         join w1 1
         plan j2 1x1          -> launch j2:m0.1 w1
         mapped w1 j2:m0.1 1  -> won j2:m0.1, launch j2:r0.1 w1
         cancel j2            -> cancel j2:r0.1 w1, end cancelled
         cancelled w1 j2:r0.1
         plan j3 0x1          -> launch j3:r0.1 w1
         reduced w1 j3:r0.1   -> won j3:r0.1, commit j3:r0.1
         cancel j3
         done j3              -> end ok
         plan j4 0x1          -> launch j4:r0.1 w1
         reduced w1 j4:r0.1   -> won j4:r0.1, commit j4:r0.1
         cancel j4
         undone j4            -> end cancelled",
    );
}

#[test]
fn a_commit_that_fails_fails_the_job() {
    check(
        "join w1 1
         plan j1 0x1          -> launch r0.1 w1
         reduced w1 r0.1      -> won r0.1, commit r0.1
         undone j1            -> end Output: the output could not be put in place: disk full",
    );
}

#[test]
fn without_workers_a_job_waits_for_the_grace_time_and_fails() {
    check(
        "plan j1 1x1
         wait 900
         wait 29000           -> (waiting)
         join w1 1            -> (worker), launch m0.1 w1
         wait 13000           -> fence w1, (worker), (waiting)
         wait 28000
         wait 1000            -> end NoWorkers: no worker for 30s",
    );
}

#[test]
fn time_in_which_the_master_did_not_run_is_nobodys_silence() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         gap 3600000
         wait 1000
         beats w1
         beats w2
         gap 10000
         wait 9000
         beats w1
         wait 1000            -> fence w2, (worker)",
    );
}

#[test]
fn a_worker_that_stops_attempts_unasked_rests() {
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         cancelled w1 m0.1    -> (retry)
         wait 300             -> launch m0.2 w1
         reduced w1 m0.2      -> (retry)
         wait 600             -> launch m0.3 w1",
    );
}

#[test]
fn a_lost_map_task_gets_the_slot_of_a_reduce_that_waits_for_it() {
    check(
        "join w1 2
         join w2 2
         plan j1 1x4          -> launch m0.1 w1
         mapped w1 m0.1 1     -> won m0.1, launch r0.1 w1, launch r1.1 w2, launch r2.1 w1, launch r3.1 w2
         gone w1              -> fence w1, lost m0, (worker)
         wait 2100 w2         -> (retry), cancel r3.1 w2
         wait 2100 w2         -> (retry), cancel r1.1 w2
         cancelled w2 r1.1    -> launch m0.2 w2
         mapped w2 m0.2 1     -> won m0.2, launch r0.2 w2",
    );
}

#[test]
fn a_straggler_gets_a_backup_once_no_task_waits_and_the_first_to_report_wins() {
    let play = check(
        "join w1 1
         join w2 1
         plan j1 3x1          -> launch m0.1 w1, launch m1.1 w2
         wait 3000 w1 w2
         mapped w2 m1.1 7     -> won m1.1, launch m2.1 w2
         at w1 m0.1 5/100
         wait 3000 w1 w2
         at w1 m0.1 10/100
         wait 2000 w1 w2
         mapped w2 m2.1 7     -> won m2.1, launch m0.2 w2, (backup)
         mapped w2 m0.2 5     -> won m0.2, cancel m0.1 w1, launch r0.1 w2
         mapped w1 m0.1 5     -> discard m0.1 w1
         reduced w2 r0.1      -> won r0.1, commit r0.1",
    );
    let stats = play.scheduler.stats(mapfold_terms::JobId(1)).unwrap();
    assert_eq!((stats.backups, stats.backups_won), (1, 1));
    assert_eq!(stats.differing, [None; 5]);
}

#[test]
fn an_attempt_that_needs_no_longer_than_a_new_one_gets_no_backup() {
    // The second has five times as much to do, and goes on as fast as the first.
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         at w2 m1.1 1/0
         wait 4000 w1 w2
         mapped w1 m0.1 7     -> won m0.1
         at w2 m1.1 80/100
         wait 6000 w1 w2
         mapped w2 m1.1 7     -> won m1.1, launch r0.1 w1",
    );
    // A backup of the only worker's attempt would be beside itself.
    check(
        "join w1 2
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w1
         wait 1000 w1
         mapped w1 m0.1 7     -> won m0.1
         wait 60000 w1",
    );
}

#[test]
fn a_slower_backup_is_stopped_and_records_that_differ_are_told() {
    let play = check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         wait 1000 w1 w2
         mapped w2 m1.1 7     -> won m1.1
         wait 6000 w1 w2      -> launch m0.2 w2, (backup)
         mapped w1 m0.1 5     -> won m0.1, cancel m0.2 w2, launch r0.1 w1
         mapped w2 m0.2 6     -> (differs), discard m0.2 w2
         wait 5100 w1 w2
         reduced w1 r0.1      -> won r0.1, commit r0.1",
    );
    let stats = play.scheduler.stats(mapfold_terms::JobId(1)).unwrap();
    assert_eq!((stats.backups, stats.backups_won), (1, 0));
    assert_eq!(stats.differing[0], Some(mapfold_terms::TaskId::map(0)));
}

#[test]
fn a_task_whose_backup_is_lost_goes_on_and_one_whose_first_attempt_is_lost_too() {
    let start = "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         wait 1000 w1 w2
         mapped w2 m1.1 7     -> won m1.1
         wait 6000 w1 w2      -> launch m0.2 w2, (backup)";
    check(&format!(
        "{start}
         failed w2 m0.2 job x -> (retry)
         wait 6000 w1 w2
         mapped w1 m0.1 5     -> won m0.1, launch r0.1 w1"
    ));
    check(&format!(
        "{start}
         gone w1              -> fence w1, (worker)
         mapped w2 m0.2 5     -> won m0.2, launch r0.1 w2"
    ));
}

#[test]
fn an_attempt_that_stands_still_fails_and_its_task_goes_elsewhere() {
    let settings = Settings {
        backup_min_age: std::time::Duration::from_secs(10_000),
        ..Settings::default()
    };
    check_with(
        settings.clone(),
        "join w1 2
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w1
         at w1 m0.1 0/100
         at w1 m1.1 1/100
         wait 500000 w1 w2
         at w1 m1.1 2/100
         wait 176000 w1 w2
         at w1 m1.1 3/100
         at w1 m0.1 0/100     -> cancel m0.1 w1, (retry), launch m0.2 w2
         mapped w2 m0.2 7     -> won m0.2
         mapped w1 m1.1 7     -> won m1.1, launch r0.1 w1",
    );
    // It is told of long before, once.
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         at w1 m0.1 0/100
         wait 31000 w1
         at w1 m0.1 0/100     -> (waiting)
         wait 31000 w1
         at w1 m0.1 0/100",
    );
    // There is nobody else to try it.
    check_with(
        settings,
        "join w1 2
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w1
         at w1 m0.1 0/100
         wait 676000 w1
         at w1 m0.1 0/100     -> cancel m0.1 w1, cancel m1.1 w1, end TaskFailed: map task m0 stands still; its thread cannot be stopped from outside; and no other worker could try it: attempt m0.1 on worker w1: no progress for 10 min",
    );
}

#[test]
fn an_attempt_that_was_told_to_stop_and_never_does_has_its_slot_for_good() {
    // Its task was won by another; the only other worker goes, and a job that waits for the slot would wait for ever.
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         at w1 m0.1 0/100
         wait 1000 w1 w2
         mapped w2 m1.1 7     -> won m1.1
         wait 16000 w1 w2     -> launch m0.2 w2, (backup)
         mapped w2 m0.2 7     -> won m0.2, cancel m0.1 w1, launch r0.1 w2
         left w2              -> fence w2, lost m0, lost m1, (worker)
         wait 560000 w1       -> cancel m0.1 w1
         at w1 m0.1 0/100
         wait 100000 w1       -> cancel m0.1 w1
         at w1 m0.1 0/100     -> (worker), (waiting)
         wait 31000 w1        -> cancel m0.1 w1, end NoWorkers: no worker for 30s",
    );
    // As soon as it stops, the slot is there again.
    check(
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         at w1 m0.1 0/100
         cancel j1            -> cancel m0.1 w1, end cancelled
         plan j2 1x1
         at w1 m0.1 0/100
         wait 601000 w1       -> cancel m0.1 w1
         at w1 m0.1 0/100     -> (worker), (waiting)
         cancelled w1 m0.1    -> launch j2:m0.1 w1",
    );
}

#[test]
fn a_process_that_is_to_leave_does_so_in_its_next_life_too() {
    check(
        "join w1 1 7
         join w2 1 8
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         drain w1             -> drains 7, (worker)
         gone w1              -> fence w1, (worker)
         join w3 1 7          -> (worker), (worker), dismiss w3
         drain w3",
    );
}

#[test]
fn an_attempt_is_not_blamed_for_the_silence_of_its_worker_nor_for_a_beat_that_was_overtaken() {
    let settings = Settings {
        backup_min_age: std::time::Duration::from_secs(10_000),
        ..Settings::default()
    };
    // A worker that is cut off for 11 s again and again, and heard once between.
    let start = "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         at w1 m0.1 1/100\n";
    let silence = "wait 11000
         at w1 m0.1 =/100\n";
    let told = "wait 11000
         at w1 m0.1 =/100     -> (waiting)\n";
    let silences = [&silence.repeat(12), told, &silence.repeat(187)].concat();
    check_with(settings.clone(), &format!("{start}{silences}"));
    // It was watched for 200 times 2.5 s.
    check_with(
        settings.clone(),
        &format!(
            "{start}{silences}
             at w1 m0.1 2/100
             wait 676000 w1
             at w1 m0.1 =/100     -> (waiting), cancel m0.1 w1, end TaskFailed: map task m0 stands still; its thread cannot be stopped from outside; and no other worker could try it: attempt m0.1 on worker w1: no progress for 10 min"
        ),
    );
    // The last beat was sent before the others.
    check_with(
        settings,
        "join w1 1
         plan j1 1x1          -> launch m0.1 w1
         at w1 m0.1 1/100
         at w1 m0.1 2/100
         wait 676000 w1
         at w1 m0.1 0/100",
    );
}

#[test]
fn a_worker_that_alone_cannot_reach_another_is_not_believed_and_excluded_in_the_end() {
    check(
        "join w1 1
         join w2 1
         join w3 1
         plan j1 3x6          -> launch m0.1 w1, launch m1.1 w2, launch m2.1 w3
         mapped w1 m0.1 7     -> won m0.1
         mapped w2 m1.1 7     -> won m1.1
         mapped w3 m2.1 7     -> won m2.1, launch r0.1 w1, launch r1.1 w2, launch r2.1 w3
         nofetch w1 r0.1 m1.1 w2 unreachable -> (retry), launch r3.1 w1
         reduced w3 r2.1      -> won r2.1, launch r4.1 w3
         nofetch w1 r3.1 m1.1 w2 unreachable -> (retry), launch r5.1 w1
         nofetch w1 r5.1 m1.1 w2 unreachable -> (retry)
         reduced w3 r4.1      -> won r4.1
         wait 300 w1 w2 w3    -> launch r0.2 w3
         reduced w3 r0.2      -> won r0.2, launch r3.2 w3
         reduced w3 r3.2      -> won r3.2, launch r5.2 w3
         reduced w3 r5.2      -> won r5.2, (worker)
         reduced w2 r1.1      -> won r1.1, commit r0.2 r1.1 r2.1 r3.2 r4.1 r5.2
         done j1              -> end ok
         plan j2 3x1          -> launch j2:m0.1 w2, launch j2:m1.1 w3
         wait 61000 w1 w2 w3  -> launch j2:m2.1 w1",
    );
}

#[test]
fn a_run_is_out_of_reach_when_two_readers_say_so_or_the_holder_is_silent() {
    let start = "join w1 1
         join w2 1
         join w3 1
         plan j1 3x2          -> launch m0.1 w1, launch m1.1 w2, launch m2.1 w3
         mapped w1 m0.1 7     -> won m0.1
         mapped w2 m1.1 7     -> won m1.1
         mapped w3 m2.1 7     -> won m2.1, launch r0.1 w1, launch r1.1 w2
         nofetch w2 r1.1 m0.1 w1 unreachable -> (retry)";
    check(&format!(
        "{start}
         wait 300 w1 w2 w3    -> launch r1.2 w3
         nofetch w3 r1.2 m0.1 w1 unreachable -> (worker), (retry), lost m0, launch m0.2 w2"
    ));
    check(&format!(
        "{start}
         wait 300 w2 w3       -> launch r1.2 w3
         reduced w3 r1.2      -> won r1.2"
    ));
    check(
        "join w1 1
         join w2 1
         join w3 1
         plan j1 3x1          -> launch m0.1 w1, launch m1.1 w2, launch m2.1 w3
         mapped w1 m0.1 7     -> won m0.1
         mapped w2 m1.1 7     -> won m1.1
         mapped w3 m2.1 7     -> won m2.1, launch r0.1 w1
         wait 6000 w1 w3
         nofetch w1 r0.1 m1.1 w2 unreachable -> (worker), (retry), lost m1, launch m1.2 w1",
    );
}

#[test]
fn two_workers_that_cannot_reach_each_other_come_down_to_one() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x2          -> launch m0.1 w1, launch m1.1 w2
         mapped w1 m0.1 7     -> won m0.1
         mapped w2 m1.1 7     -> won m1.1, launch r0.1 w1, launch r1.1 w2
         nofetch w1 r0.1 m1.1 w2 unreachable -> (retry)
         nofetch w2 r1.1 m0.1 w1 unreachable -> (retry)
         wait 300 w1 w2       -> launch r0.2 w2, launch r1.2 w1
         nofetch w1 r1.2 m1.1 w2 unreachable -> (worker), (retry), lost m1, launch m1.2 w1
         nofetch w2 r0.2 m0.1 w1 unreachable -> (retry)
         mapped w1 m1.2 7     -> won m1.2, launch r1.3 w1
         reduced w1 r1.3      -> won r1.3
         wait 300 w1 w2       -> launch r0.3 w1
         reduced w1 r0.3      -> won r0.3, commit r0.3 r1.3",
    );
}

#[test]
fn a_worker_that_is_lost_again_and_again_is_excluded_for_longer_each_time() {
    let settings = Settings {
        flaps_max: 2,
        ..Settings::default()
    };
    check_with(
        settings.clone(),
        "join w1 1 7
         join w2 1 8
         plan j1 9x1          -> launch m0.1 w1, launch m1.1 w2
         wait 12100 w2        -> fence w1, (worker)
         join w3 1 7          -> (worker), launch m0.2 w3
         wait 12100 w2        -> fence w3, (worker)
         join w4 1 7          -> (worker), (worker)
         wait 59000 w2 w4
         wait 1100 w2 w4      -> launch m0.3 w4",
    );
    // The last one is better than none.
    check_with(
        settings,
        "join w1 1 7
         plan j1 9x1          -> launch m0.1 w1
         wait 12100           -> fence w1, (worker), (waiting)
         join w3 1 7          -> (worker), launch m0.2 w3
         wait 12100           -> fence w3, (worker), (waiting)
         join w4 1 7          -> (worker), launch m0.3 w4
         join w5 1 8          -> (worker), launch m1.1 w5",
    );
}

#[test]
fn a_draining_worker_gets_no_tasks_and_goes_when_nobody_needs_its_runs() {
    check(
        "join w1 1
         join w2 1
         plan j1 2x1          -> launch m0.1 w1, launch m1.1 w2
         mapped w1 m0.1 7     -> won m0.1
         drain w1             -> (worker)
         drain w1
         mapped w2 m1.1 7     -> won m1.1, launch r0.1 w2
         wait 20000 w1 w2
         reduced w2 r0.1      -> won r0.1, commit r0.1
         done j1              -> end ok, dismiss w1
         wait 5600 w1 w2      -> dismiss w1
         left w1              -> fence w1
         drain w1
         drain w2             -> dismiss w2",
    );
    // The last one does what it has, and no job waits for ever.
    check(
        "join w1 1
         plan j1 2x1          -> launch m0.1 w1
         drain w1             -> (worker), (waiting)
         wait 40000 w1
         mapped w1 m0.1 7     -> won m0.1
         wait 21000 w1        -> end NoWorkers: no worker for 30s, dismiss w1",
    );
}
