//! Orders of programs against each other: counts, races, and that every way is walked once.

use super::*;
use crate::lab::Topology;
use crate::race::End;

/// A world in which `setup` was carried out.
fn world(setup: &[&str]) -> World {
    let mut world = World::new(&Topology::sandbox(), None);
    let connection = world.connect(6379, "").unwrap();
    for line in setup {
        world.send(connection, crate::base::quote::split(line.as_bytes()).unwrap());
    }
    world.hang_up(connection);
    world
}

fn orders(setup: &[&str], programs: &[&str]) -> Orders {
    let parsed: Vec<Program> = programs.iter().map(|text| Program::parse("p", text).unwrap()).collect();
    all(&world(setup), 6379, &parsed, 1).unwrap()
}

const BLIND: &str = "n = GET stock\nSET stock {n-1}";
const WATCHED: &str = "WATCH stock\nn = GET stock\nMULTI\nSET stock {n-1}\nEXEC\nagain if nil";
const LATE_WATCH: &str = "n = GET stock\nWATCH stock\nMULTI\nSET stock {n-1}\nEXEC\nagain if nil";

#[test]
fn two_programs_of_two_have_six_orders_and_four_of_them_lose_a_sale() {
    let all = orders(&["SET stock 10"], &[BLIND, BLIND]);
    let letters: Vec<String> = all.orders.iter().map(Order::letters).collect();
    assert_eq!(letters, ["AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"]);
    let told: Vec<_> =
        all.outcomes.iter().map(|each| (each.keys[0].1.as_str(), each.count, each.stale, each.lost)).collect();
    assert_eq!(told, [("\"9\"", 4, 4, 4), ("\"8\"", 2, 0, 0)]);
    assert_eq!(all.worst.map(|at| all.orders[at].letters()), Some("ABBA".into()));
    assert_eq!(all.sample, None);
}

#[test]
fn watch_before_the_read_protects_in_every_order() {
    let all = orders(&["SET stock 10"], &[WATCHED, WATCHED]);
    assert!(all.orders.len() >= 252, "{}", all.orders.len());
    assert_eq!((all.with(Kind::StaleRead), all.with(Kind::LostUpdate)), (0, 0));
    assert!(
        all.outcomes.iter().all(|outcome| outcome.keys == [("stock".into(), "\"8\"".into())]),
        "{:?}",
        all.outcomes
    );
}

#[test]
fn watch_after_the_read_protects_in_some_orders_only() {
    let all = orders(&["SET stock 10"], &[LATE_WATCH, LATE_WATCH]);
    let stale = all.with(Kind::StaleRead);
    assert!(stale > 0 && stale < all.orders.len(), "{stale} of {}", all.orders.len());
}

#[test]
fn a_counter_needs_no_protection() {
    let all = orders(&["SET stock 10"], &["DECR stock", "DECR stock"]);
    assert_eq!((all.orders.len(), all.outcomes.len()), (2, 2));
    assert!(all.outcomes.iter().all(|outcome| outcome.keys[0].1 == "\"8\"" && outcome.stale + outcome.lost == 0));
}

#[test]
fn a_decision_by_an_outdated_read_is_a_stale_read_though_nothing_is_overwritten() {
    let sell = "n = GET stock\nstop if {n} < 1\nDECR stock";
    let all = orders(&["SET stock 1"], &[sell, sell]);
    assert_eq!(all.with(Kind::LostUpdate), 0);
    assert_eq!(all.with(Kind::StaleRead), 4);
    let sold_twice = all.outcomes.iter().filter(|outcome| outcome.keys[0].1 == "\"-1\"");
    assert_eq!(sold_twice.map(|outcome| outcome.count).sum::<usize>(), 4);
    assert_eq!(all.outcomes.iter().filter(|each| each.ends.contains(&End::Stopped(2))).count(), 2);
}

#[test]
fn a_read_inside_multi_is_no_number() {
    let all = orders(&["SET stock 10"], &["MULTI\nn = GET stock\nSET stock {n-1}\nEXEC", "GET stock"]);
    let End::Failed(why) = &all.outcomes[0].ends[0] else { panic!("{:?}", all.outcomes) };
    assert_eq!(why, "`n` is QUEUED, which is no number");
}

#[test]
fn a_blocked_program_goes_on_when_the_other_feeds_it() {
    let all = orders(&[], &["job = BLPOP jobs 0\nSET done \"{job}\"", "RPUSH jobs 42"]);
    assert_eq!(all.orders.len(), 2, "{all:?}");
    assert!(all.outcomes.iter().all(|outcome| outcome.keys.contains(&("done".into(), "\"jobs 42\"".into()))));
    let stuck = orders(&[], &["BLPOP jobs 0", "GET jobs"]);
    assert!(stuck.outcomes.iter().all(|outcome| outcome.ends[0] == End::Waits));
}

#[test]
fn a_run_tells_step_by_step_who_broke_whose_watch() {
    let programs = [Program::parse("a", WATCHED).unwrap(), Program::parse("b", "SET stock 99").unwrap()];
    let (run, after) = one(&world(&["SET stock 10"]), 6379, &programs, &[0, 0, 1, 0, 0, 0]).unwrap();
    let told: Vec<(usize, &str, &str)> =
        run.steps.iter().map(|step| (step.who, step.command.as_str(), step.reply.as_str())).collect();
    assert_eq!(
        told[..6],
        [
            (0, "WATCH stock", "OK"),
            (0, "GET stock", "\"10\""),
            (1, "SET stock 99", "OK"),
            (0, "MULTI", "OK"),
            (0, "SET stock 9", "QUEUED"),
            (0, "EXEC", "(nil)"),
        ]
    );
    assert_eq!(run.steps[2].broke, [(0, "stock".into())]);
    assert_eq!(run.steps[2].changed, [("stock".into(), "\"99\"".into())]);
    assert_eq!(run.steps[5].then.as_deref(), Some("A begins again"));
    assert_eq!(run.steps[9].command, "SET stock 98");
    assert!(run.races.is_empty());
    assert_eq!(after.value_of(0, 0, b"stock"), Some(crate::snapshot::Value::String("98".into())));
}

#[test]
fn a_run_marks_the_steps_of_a_race() {
    let programs = [Program::parse("a", BLIND).unwrap(), Program::parse("b", BLIND).unwrap()];
    let (run, _) = one(&world(&["SET stock 10"]), 6379, &programs, &[0, 1, 1, 0]).unwrap();
    let marks: Vec<_> = run.races.iter().map(|mark| (mark.kind, mark.read, mark.other, mark.write)).collect();
    assert_eq!(marks, [(Kind::StaleRead, Some(0), 2, 3), (Kind::LostUpdate, None, 2, 3)]);
}

#[test]
fn too_many_orders_are_sampled_and_say_so() {
    let reads = "GET a\n".repeat(10);
    let all = orders(&[], &[&reads, &reads]);
    assert_eq!(all.sample, Some(Sample { seed: 1, of: 184_756 }));
    assert!(all.orders.len() > SAMPLES * 9 / 10, "{}", all.orders.len());
    let mut letters: Vec<String> = all.orders.iter().map(Order::letters).collect();
    letters.dedup();
    assert_eq!(letters.len(), all.orders.len());
    assert_eq!(all, orders(&[], &[&reads, &reads]), "the same seed draws the same orders");
}

#[test]
fn three_programs_are_walked_too() {
    let all = orders(&[], &["INCR a\nINCR a", "INCR a\nINCR a", "INCR a\nINCR a"]);
    assert_eq!(all.orders.len(), 90);
    assert!(all.outcomes.iter().all(|outcome| outcome.keys[0].1 == "\"6\""));
}

#[test]
fn interleavings_are_counted_without_walking_them() {
    assert_eq!(interleavings(&[5, 5]), 252);
    assert_eq!(interleavings(&[2, 2, 2]), 90);
    assert_eq!(interleavings(&[60, 60, 60]), u64::MAX);
}
