//! What a key or an answer of the lab does.

use super::fixture::{compared, key, later, model, model_of_two, scene, typed};
use super::frames::text;
use crate::base::Millis;
use crate::console::Line;
use crate::snapshot::Value;
use crate::tui::keys::{Code, Key};
use crate::tui::message::{Effect, Message};
use crate::tui::model::{Focus, Mark, Model, Overlay, Picture};
use crate::tui::update;
use crate::tutor;

fn press(model: &mut Model, key: Key) -> Vec<Effect> {
    update(model, Message::Key(key))
}

fn type_in(model: &mut Model, line: &str) {
    for c in line.chars() {
        assert_eq!(press(model, Key::char(c)), []);
    }
}

fn enter(model: &mut Model) -> Vec<Effect> {
    press(model, Key::of(Code::Enter))
}

#[test]
fn enter_hands_the_line_to_the_lab_and_empties_it() {
    let mut model = model((80, 24));
    type_in(&mut model, "PING");
    assert_eq!(enter(&mut model), [Effect::Submit { terminal: 0, line: "PING".into() }]);
    assert_eq!(enter(&mut model), []);
}

#[test]
fn enter_on_an_empty_line_goes_on_only_when_the_exercise_is_done() {
    let mut model = model((80, 24));
    assert_eq!(enter(&mut model), []);
    model.scene = later();
    assert_eq!(enter(&mut model), [Effect::Submit { terminal: 0, line: ":next".into() }]);
}

#[test]
fn the_hint_key_types_the_word_for_the_learner() {
    let mut model = model((80, 24));
    assert_eq!(press(&mut model, Key::of(Code::F(3))), [Effect::Submit { terminal: 0, line: ":hint".into() }]);
}

#[test]
fn ctrl_c_cancels_the_line_then_warns_then_leaves() {
    let mut model = model((80, 24));
    type_in(&mut model, "GET x");
    assert_eq!(press(&mut model, Key::ctrl('c')), []);
    assert!(model.shell().unwrap().input.is_empty());
    assert_eq!(press(&mut model, Key::ctrl('c')), []);
    assert!(text(&model).contains("Ctrl-C once more leaves"));
    assert_eq!(press(&mut model, Key::ctrl('c')), [Effect::Quit]);
}

#[test]
fn a_key_between_takes_the_warning_back() {
    let mut model = model((80, 24));
    press(&mut model, Key::ctrl('c'));
    type_in(&mut model, "x");
    press(&mut model, Key::ctrl('c'));
    assert_eq!(press(&mut model, Key::ctrl('c')), []);
}

#[test]
fn ctrl_c_interrupts_what_is_waiting() {
    let mut model = model((80, 24));
    model.scene.terminals[0].busy = true;
    assert_eq!(press(&mut model, Key::ctrl('c')), [Effect::Interrupt { terminal: 0 }]);
    assert_eq!(press(&mut model, Key::ctrl('d')), [Effect::Interrupt { terminal: 0 }]);
}

#[test]
fn several_pasted_lines_never_run_by_themselves() {
    let mut model = model((80, 24));
    assert_eq!(update(&mut model, Message::Paste("SET a 1\r\nSET b 2\n".into())), []);
    assert!(text(&model).contains("Run 2 pasted lines?"));
    assert_eq!(press(&mut model, Key::of(Code::Esc)), []);
    assert!(model.overlay.is_none());
    update(&mut model, Message::Paste("SET a 1\n\nSET b 2".into()));
    let run: Vec<Effect> =
        ["SET a 1", "SET b 2"].iter().map(|line| Effect::Submit { terminal: 0, line: (*line).into() }).collect();
    assert_eq!(enter(&mut model), run);
}

#[test]
fn a_pasted_line_goes_into_the_line_and_waits() {
    let mut model = model((80, 24));
    assert_eq!(update(&mut model, Message::Paste("SET a 1\n".into())), []);
    assert_eq!(model.shell().unwrap().input.text(), "SET a 1");
}

#[test]
fn five_megabytes_are_survived_as_one_line_and_as_many() {
    let mut model = model((80, 24));
    update(&mut model, Message::Paste("x".repeat(5 << 20)));
    assert!(model.shell().unwrap().input.is_empty());
    assert!(text(&model).contains("one line of 5.0 MB"));
    update(&mut model, Message::Paste("SET a 1\n".repeat(700_000)));
    assert!(text(&model).contains("Run 700000 pasted lines?"));
    assert_eq!(enter(&mut model), []);
    assert!(text(&model).contains("too many"));
    update(&mut model, Message::Paste("y".repeat(1 << 20)));
    let start = std::time::Instant::now();
    assert!(text(&model).contains("yyy"));
    assert!(start.elapsed().as_millis() < 500, "a long line must not slow down the frame: {:?}", start.elapsed());
}

#[test]
fn marks_tell_what_the_last_command_did_and_go_with_the_next() {
    let mut model = model((80, 24));
    answer(&mut model, later());
    let at = |name: &str| ("redis".to_owned(), 0, name.into());
    assert_eq!(model.marks.get(&at("session:a1")), Some(&Mark::New));
    let mut next = later();
    next.world.instances[0].dbs[0].keys[2] = key("session:a1", Value::String("bob".into()), None);
    next.world.instances[0].dbs[0].keys.remove(0);
    next.writes.push(crate::tui::model::Write {
        sequence: 9,
        event: "del".into(),
        key: "cart:42".into(),
        ..next.writes[0].clone()
    });
    answer(&mut model, next.clone());
    assert_eq!(model.marks.get(&at("session:a1")), Some(&Mark::Changed));
    assert_eq!(model.marks.get(&at("cart:42")), Some(&Mark::Gone("del".into())));
    assert!(!model.marks.contains_key(&at("queue:mail")));
    answer(&mut model, next);
    assert!(model.marks.is_empty());
}

fn answer(model: &mut Model, scene: crate::tui::model::Scene) {
    update(model, Message::Answered { lines: Vec::new(), effects: Vec::new(), scene: Box::new(scene), screens: None });
}

#[test]
fn a_key_that_time_took_is_said_to_be_expired() {
    let mut model = model((80, 24));
    answer(&mut model, later());
    let mut gone = later();
    gone.world.now += Millis::from_secs(1801);
    gone.world.instances[0].dbs[0].keys.remove(2);
    gone.writes.push(crate::tui::model::Write { sequence: 9, event: "expired".into(), ..gone.writes[2].clone() });
    update(&mut model, Message::Looked(Box::new(gone)));
    model.picture = Picture::Keys;
    model.picture_up = true;
    assert!(text(&model).contains("session:a1 expired"), "{}", text(&model));
}

#[test]
fn the_ttl_bar_runs_down_from_where_it_was_first_seen() {
    let mut model = model((100, 30));
    answer(&mut model, later());
    model.picture = Picture::Keys;
    assert!(text(&model).contains("████████    30:00"), "{}", text(&model));
    let mut half = later();
    half.world.now += Millis::from_secs(900);
    update(&mut model, Message::Looked(Box::new(half)));
    assert!(text(&model).contains("████░░░░    15:00"), "{}", text(&model));
}

#[test]
fn what_is_read_stays_in_place_while_more_is_printed() {
    let mut model = model((80, 24));
    for i in 0..100 {
        let scene = Box::new(scene());
        update(
            &mut model,
            Message::Answered {
                lines: vec![(0, Line::plain(format!("line {i}.")))],
                effects: vec![],
                scene,
                screens: None,
            },
        );
    }
    for _ in 0..3 {
        press(&mut model, Key::alt(Code::PageUp));
    }
    let before = text(&model);
    let scene = Box::new(scene());
    update(
        &mut model,
        Message::Answered { lines: typed("PING", Line::plain("PONG")), effects: vec![], scene, screens: None },
    );
    let lines =
        |frame: &str| frame.lines().filter(|line| line.starts_with(" line ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&before), lines(&text(&model)));
    press(&mut model, Key::of(Code::Esc));
    assert!(text(&model).contains("PONG"));
}

#[test]
fn the_lesson_scrolls_while_the_prompt_keeps_the_focus_and_holds_its_place_on_resize() {
    let mut model = model((80, 24));
    press(&mut model, Key::of(Code::PageDown));
    assert_eq!(model.focus, Focus::Terminal);
    let top = model.lesson_top;
    assert_ne!(top, (0, 0));
    update(&mut model, Message::Resize(120, 40));
    assert_eq!(model.lesson_top, top);
}

#[test]
fn the_editor_saves_what_was_typed_and_asks_before_it_forgets() {
    let mut model = model((80, 24));
    let effects = vec![tutor::Effect::OpenEditor { path: "redis.conf".into(), text: "port 6379\n".into() }];
    update(&mut model, Message::Answered { lines: Vec::new(), effects, scene: Box::new(scene()), screens: None });
    for c in "# ".chars() {
        assert!(
            matches!(press(&mut model, Key::char(c)).as_slice(), [Effect::Check { path, .. }] if path == "redis.conf")
        );
    }
    press(&mut model, Key::of(Code::Esc));
    assert!(text(&model).contains("Not saved yet"));
    assert_eq!(
        press(&mut model, Key::ctrl('s')),
        [Effect::WriteFile { path: "redis.conf".into(), text: "# port 6379\n".into() }]
    );
    assert!(model.overlay.is_none());
}

#[test]
fn help_is_searched_by_typing_and_a_word_is_put_on_the_line() {
    let mut model = model((80, 24));
    press(&mut model, Key::of(Code::F(1)));
    type_in(&mut model, ":why");
    assert!(matches!(model.overlay, Some(Overlay::Help(_))));
    enter(&mut model);
    assert_eq!(model.shell().unwrap().input.text(), ":why ");
}

#[test]
fn escape_never_leaves_the_lab() {
    let mut model = model((80, 24));
    for key in [Code::F(1), Code::Esc, Code::Esc, Code::F(6), Code::Esc, Code::Esc] {
        assert!(!press(&mut model, Key::of(key)).contains(&Effect::Quit));
    }
    assert_eq!(model.focus, Focus::Terminal);
}

#[test]
fn every_key_in_every_state_has_an_answer() {
    let codes = [
        Code::Enter,
        Code::Esc,
        Code::Tab,
        Code::BackTab,
        Code::Backspace,
        Code::Delete,
        Code::Left,
        Code::Right,
        Code::Up,
        Code::Down,
        Code::Home,
        Code::End,
        Code::PageUp,
        Code::PageDown,
        Code::Char('a'),
        Code::Char('é'),
        Code::Char(' '),
    ];
    let mut keys: Vec<Key> = codes.into_iter().map(Key::of).chain((1..=12).map(|n| Key::of(Code::F(n)))).collect();
    keys.extend(('a'..='z').map(Key::ctrl));
    keys.extend(('a'..='z').map(|c| Key::alt(Code::Char(c))));
    // Deterministic wandering through the states, drawing each.
    let mut model = model((80, 24));
    let mut seed = 7u64;
    for _ in 0..3000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        press(&mut model, keys[(seed >> 33) as usize % keys.len()]);
        if seed >> 60 == 0 {
            text(&model);
        }
    }
}

#[test]
fn the_other_terminal_is_one_key_away_and_each_keeps_the_line_that_is_typed_in_it() {
    let mut model = model_of_two((120, 40));
    type_in(&mut model, "GET stock");
    press(&mut model, Key::ctrl('x'));
    assert_eq!(model.active, 1);
    press(&mut model, Key::of(Code::F(6)));
    assert_eq!(model.focus, Focus::Lesson);
    press(&mut model, Key::ctrl('x'));
    for size in [(80, 24), (40, 10), (1, 2), (300, 90), (120, 40)] {
        update(&mut model, Message::Resize(size.0, size.1));
        text(&model);
    }
    assert_eq!((model.active, model.focus), (0, Focus::Terminal));
    assert_eq!(model.shell().unwrap().input.text(), "GET stock");
    assert!(text(&model).contains("(TX)> GET stock"));
}

#[test]
fn a_terminal_that_waits_stops_only_itself() {
    let mut model = model_of_two((80, 24));
    type_in(&mut model, "EXEC");
    assert_eq!(enter(&mut model), [Effect::Submit { terminal: 0, line: "EXEC".into() }]);
    press(&mut model, Key::ctrl('x'));
    assert_eq!(press(&mut model, Key::ctrl('c')), [Effect::Interrupt { terminal: 1 }]);
}

#[test]
fn a_click_goes_to_a_terminal_even_where_only_its_title_is_seen() {
    let mut model = model_of_two((80, 24));
    let shown = text(&model);
    let row = shown.lines().position(|line| line.contains(" B  bob")).expect("the other terminal has a row");
    update(&mut model, Message::Click { column: 20, row: row as u16 });
    assert_eq!((model.active, model.focus), (1, Focus::Terminal));
}

#[test]
fn a_picture_is_shown_by_name_and_the_timeline_scrolls_from_its_end() {
    let mut model = model_of_two((80, 24));
    let effects = vec![tutor::Effect::Show(Picture::Timeline)];
    let scene = Box::new(model.scene.clone());
    update(&mut model, Message::Answered { lines: Vec::new(), effects, scene, screens: None });
    assert!(text(&model).contains("B bob redis :6379"), "{}", text(&model));
    model.focus = Focus::Picture;
    press(&mut model, Key::of(Code::Home));
    assert!(text(&model).contains("WATCH stock → OK"), "{}", text(&model));
    press(&mut model, Key::of(Code::End));
    assert!(text(&model).contains("B bob redis :6379"));
}

#[test]
fn comparing_orders_shows_them_and_the_step_key_types_the_word() {
    let mut model = model_of_two((120, 40));
    answer(&mut model, compared());
    assert_eq!(model.picture, Picture::Orders);
    assert_eq!(press(&mut model, Key::ctrl('g')), [Effect::Submit { terminal: 0, line: ":orders next".into() }]);
    model.picture = Picture::Keys;
    assert_eq!(press(&mut model, Key::ctrl('g')), []);
    assert!(text(&model).contains("step by step"));
}

#[test]
fn a_line_that_a_server_would_refuse_is_marked_with_its_reason_and_saving_says_so() {
    let mut model = model((80, 24));
    let effects =
        vec![tutor::Effect::OpenEditor { path: "redis.conf".into(), text: "port 6379\nmaxmemry 1mb\n".into() }];
    let scene = Box::new(scene());
    let asked = update(&mut model, Message::Answered { lines: Vec::new(), effects, scene, screens: None });
    assert!(matches!(asked.as_slice(), [Effect::Check { .. }]));
    let reason = "Bad directive or wrong number of arguments";
    update(&mut model, Message::Faults(vec![(2, reason.into())]));
    let shown = text(&model);
    assert!(shown.contains("✗ 2   maxmemry 1mb") && shown.contains(&format!("✗ line 2: {reason}")), "{shown}");
    update(&mut model, Message::Paste("\u{1b}[2J\nsave 60 1\n".into()));
    for size in [(40, 10), (1, 2), (80, 24)] {
        update(&mut model, Message::Resize(size.0, size.1));
        text(&model);
    }
    press(&mut model, Key::ctrl('s'));
    assert!(text(&model).contains("no server will start with it: line 2"), "{}", text(&model));
}

#[test]
fn in_a_cluster_the_step_key_stops_the_network_and_then_lets_one_message_through() {
    let mut model = model_of_two((120, 40));
    model.scene = super::fixture::cluster();
    model.picture = Picture::Cluster;
    let typed = |line: &str| [Effect::Submit { terminal: 0, line: line.into() }];
    assert_eq!(press(&mut model, Key::ctrl('g')), typed(":net freeze"));
    model.scene.world.network.frozen = true;
    assert_eq!(press(&mut model, Key::ctrl('g')), typed(":net step"));
}

#[test]
fn a_command_of_the_atlas_is_found_by_typing_and_opens_its_page() {
    let mut model = model((80, 24));
    press(&mut model, Key::alt(Code::Char('a')));
    type_in(&mut model, "zincrby");
    assert_eq!(enter(&mut model), [Effect::Atlas("ZINCRBY".into())]);
    update(&mut model, Message::Page { title: "ZINCRBY".into(), lines: vec![Line::plain("ZINCRBY key")] });
    assert!(text(&model).contains("ZINCRBY key"));
    press(&mut model, Key::of(Code::Esc));
    assert!(model.overlay.is_none());
}
