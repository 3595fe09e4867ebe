//! The tutor in a small lesson: causes, goals that stay or break, undo, hints, resuming.

use super::*;

#[test]
fn nothing_is_said_before_anything_was_done() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a}}}}]\n{REST}"));
    assert_eq!(told(&session), "");
    session.submit(0, ":goals");
    session.submit(0, ":hint");
    assert_eq!(told(&session), "");
    session.submit(0, "PING");
    assert_eq!(told(&session), "There is no key `a`.");
}

#[test]
fn causes_are_found_in_the_history() {
    let goal = |goal: &str| session_with(&format!("    goals: [{{say: g, {goal}}}]\n{REST}"));
    let ttl = "key: {name: a, equals: x, ttl: {between: [1, 60]}}";
    for (check, lines, says) in [
        (
            ttl,
            &["SET a x EX 60", "SET a y"][..],
            "`a` has no time to live: your `SET a y` in `shop` at 09:00:00 removed it.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y EX 5", ":time +10s", "GET a"],
            "`a` was there, and expired at 09:00:05.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "DEL a"],
            "`a` was there; your `DEL a` in `shop` removed it at 09:00:00.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "SELECT 3", "FLUSHALL"],
            "`a` was there; your `FLUSHALL` in `shop` removed it at 09:00:00.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SELECT 2", "SET a x"],
            "`a` is in database 2, not in 0. SELECT leads from one to the other.",
        ),
        (
            "key: {name: \"session:a1\", equals: x}",
            &["SET sesion:a1 x"],
            "There is a key `sesion:a1`. The one asked for is `session:a1`.",
        ),
        (
            "key: {name: a, equals: x}",
            &["SET a y", "ops: kill -9 6379", "ops: redis-server redis.conf"],
            "`a` was written at 09:00:00 and lost: the server was killed at 09:00:00.",
        ),
    ] {
        let mut session = goal(check);
        if lines[0].contains("EX 60") {
            // The first SET would solve it.
            session = session_with(&format!("    goals: [{{say: g, {check}}}, {{say: h, key: {{name: b}}}}]\n{REST}"));
        }
        type_all(&mut session, lines);
        let said = told(&session);
        // A moment may pass while a process starts.
        let said = said.replace("09:00:01", "09:00:00").replace("09:00:06", "09:00:05");
        assert_eq!(said, says, "{lines:?}");
    }
}

#[test]
fn the_write_that_made_exec_answer_nil_is_named() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a, equals: mine}}}}]\n{REST}"));
    type_all(&mut session, &["WATCH a", "MULTI", "SET a mine", "ops: redis-cli SET a other", "EXEC"]);
    assert_eq!(
        told(&session),
        "EXEC at 09:00:00 did nothing: your `SET a other` in `ops` had changed the watched `a` before. Read again, and try again."
    );
}

#[test]
fn a_broken_always_comes_first_and_undo_heals_it() {
    let goals = format!(
        "    setup: {{redis: [\"SET a 1\"]}}\n    goals:\n      - {{say: It is there., when: always, key: {{name: a}}}}\n      - {{say: g, key: {{name: a, equals: 2}}}}\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["DEL a"]);
    let state = &session.exercises()[0];
    assert!(state.goals[0].broken);
    assert_eq!(state.feedback.as_ref().unwrap().tone, Tone::Broken);
    assert_eq!(told(&session), "`DEL a` broke a goal that holds all the time: It is there. `:undo` takes it back.");
    type_all(&mut session, &["SET a 2"]);
    assert!(!session.exercises()[0].solved, "it was broken on the way");
    type_all(&mut session, &[":undo 2", "SET a 2"]);
    assert!(session.exercises()[0].solved);
}

#[test]
fn latched_goals_stay_met_through_undo_and_others_do_not() {
    let goals = format!(
        "    goals:\n      - {{say: g, when: latched, saw: {{cmd: \"SET a\"}}}}\n      - {{say: h, key: {{name: a}}}}\n      - {{say: i, key: {{name: never}}}}\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["SET a 1"]);
    let met =
        |session: &crate::tutor::Session| session.exercises()[0].goals.iter().map(|goal| goal.met).collect::<Vec<_>>();
    assert_eq!(met(&session), [true, true, false]);
    type_all(&mut session, &[":undo"]);
    assert_eq!(met(&session), [true, false, false]);
    type_all(&mut session, &[":redo"]);
    assert_eq!(met(&session), [true, true, false]);
    type_all(&mut session, &[":reset"]);
    assert_eq!(met(&session), [false, false, false]);
}

#[test]
fn undo_stops_at_the_first_moment_of_the_exercise() {
    let goals = format!("    setup: {{redis: [\"SET a 1\"]}}\n    goals: [{{say: g, key: {{name: never}}}}]\n{REST}");
    let mut session = session_with(&goals);
    type_all(&mut session, &["DEL a", ":undo 5", "GET a"]);
    assert_eq!(session.screen(0).last().unwrap().text(), "\"1\"");
}

#[test]
fn a_failed_future_is_kept_to_be_watched_and_leaves_the_world_alone() {
    let goals = format!(
        "    goals: [{{say: g, future: {{do: [power-cut, {{restart: redis}}, {{run: {{redis: [\"GET a\"]}}}}], expect: {{key: {{name: a}}}}}}}}]\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["SET a 1"]);
    let feedback = session.exercises()[0].feedback.clone().unwrap();
    let shown = crate::tutor::lines_of(&feedback.future).iter().map(crate::console::Line::text).collect::<Vec<_>>();
    assert_eq!(
        shown,
        ["$ power-cut", "$ redis-server redis.conf", "127.0.0.1:6379> GET a", "(nil)", "There is no key `a`."]
    );
    assert_eq!(session.snapshot().instances[0].state, crate::snapshot::State::Running);
    type_all(&mut session, &["GET a"]);
    assert_eq!(session.screen(0).last().unwrap().text(), "\"1\"");
}

#[test]
fn hints_come_one_by_one_and_a_played_solution_counts_for_nothing() {
    let goals = "    goals: [{say: g, key: {name: a}}]\n    hints: [first, second]\n    wrong: [{when: {saw: {cmd: NEVER}}, try: {shop: [PING]}, say: no}]\n    solutions: [{shop: [\"SET a 1\"]}]\n";
    let mut session = session_with(goals);
    type_all(&mut session, &[":hint"]);
    assert_eq!(session.exercises()[0].hints_shown, ["first"]);
    type_all(&mut session, &[":hint", ":hint"]);
    assert_eq!(session.exercises()[0].hints_shown, ["first", "second"]);
    let response = session.submit(0, ":solve");
    let Some(Effect::ShowFuture { lines, .. }) = response.effects.first() else { panic!("{response:?}") };
    assert_eq!(
        lines.iter().map(crate::console::Line::text).collect::<Vec<_>>(),
        ["shop  127.0.0.1:6379> SET a 1", "OK"]
    );
    let state = &session.exercises()[0];
    assert!(state.solution_seen && !state.solved);
    assert!(session.snapshot().instances[0].dbs.is_empty());
}

#[test]
fn looking_around_in_the_lab_is_nothing_done() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a}}}}]\n{REST}"));
    for word in [":atlas GET", ":show keys", ":net", ":terminal", ":gaols"] {
        session.submit(0, word);
        assert_eq!(told(&session), "", "{word}");
    }
    session.submit(0, ":time +1s");
    assert_eq!(told(&session), "There is no key `a`.");
}

#[test]
fn a_terminal_is_called_by_a_word_and_never_as_the_lessons_own() {
    // What was typed in a terminal called `lesson` counted as set up by the author, and it was logged in without a password.
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: a}}}}]\n{REST}"));
    let before = session.terminals().len();
    for name in ["lesson", "two words", "\u{202e}", &"x".repeat(21)] {
        session.submit(0, &format!(":terminal {name}"));
        assert_eq!(session.terminals().len(), before, "{name}");
    }
    session.submit(0, ":terminal till-2");
    assert_eq!(session.terminals().len(), before + 1);
}

#[test]
fn why_tells_who_wrote_and_who_removed() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    type_all(&mut session, &["SET a 1 EX 9", "PERSIST a", "ops: redis-cli DEL a"]);
    let lines = session.submit(0, ":why a").lines.iter().map(|(_, line)| line.text()).collect::<Vec<_>>();
    let said = lines.join("\n");
    assert!(said.contains("09:00:00 written: your `SET a 1 EX 9` in `shop`"), "{said}");
    assert!(said.contains("09:00:00 deleted: your `DEL a` in `ops`"), "{said}");
    assert!(said.ends_with("Now: there is no key `a`."), "{said}");
}

#[test]
fn the_truth_of_a_question_is_what_running_it_prints() {
    let goals = format!(
        "    predict: {{ask: q, choices: [\"(integer) 1\", \"(integer) 2\"], run: {{redis: [\"INCR n\"]}}}}\n    goals: [{{say: g, answer: {{right: true}}}}]\n{REST}"
    );
    let mut session = session_with(&goals);
    type_all(&mut session, &["INCR n", ":answer 1"]);
    assert_eq!(session.exercises()[0].questions[0].right, Some(false));
    type_all(&mut session, &[":2"]);
    assert!(session.exercises()[0].solved);
    assert_eq!(session.submit(0, "GET n").lines.last().unwrap().1.text(), "\"1\"", "it ran in a copy");
}

#[test]
fn a_session_is_resumed_to_the_same_screens_world_and_progress() {
    let lesson = lesson_of(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    let mut session = crate::tutor::Session::open(&lesson, &embedded, None);
    type_all(
        &mut session,
        &["SET a 1 EX 100", "MULTI", "INCR a", "ops: sleep 5", ":undo", "EXEC", "DEL zz", ":hint", ":terminal more"],
    );
    session.advance(crate::base::Millis(2345));
    type_all(&mut session, &["TTL a"]);
    let resumed = crate::tutor::Session::open(&lesson, &embedded, Some(session.saved()));
    for terminal in 0..session.terminals().len() {
        assert_eq!(resumed.screen(terminal), session.screen(terminal));
        assert_eq!(resumed.terminals()[terminal].prompt(), session.terminals()[terminal].prompt());
    }
    assert_eq!(resumed.exercises(), session.exercises());
    assert_eq!(resumed.snapshot(), session.snapshot());
    assert_eq!(resumed.saved(), session.saved());
}

#[test]
fn a_huge_line_and_a_huge_answer_are_shown_in_part() {
    let mut session = session_with(&format!("    goals: [{{say: g, key: {{name: never}}}}]\n{REST}"));
    let line = format!("SET big {}", "x".repeat(5_000_000));
    session.submit(0, &line);
    let response = session.submit(0, "GET big");
    assert!(response.lines.iter().all(|(_, line)| line.text().len() < 70_000));
    assert!(response.lines.last().unwrap().1.text().ends_with("bytes more)"));
    session.submit(0, ":undo 2");
    assert!(session.snapshot().instances[0].dbs.is_empty());
}
