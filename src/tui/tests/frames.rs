//! Golden frames. A change is looked at, then taken with `INSTA_UPDATE=always cargo test --lib tui`.

use super::fixture::{cluster, compared, later, model, model_of_two, say, shop, typed};
use crate::console::{Class, Line};
use crate::tui::keys::{Code, Key};
use crate::tui::message::Message;
use crate::tui::model::{Focus, LessonRow, Model, Picture};
use crate::tui::theme::{Kind, Theme};
use crate::tui::{update, view};
use crate::tutor::{Feedback, Tone};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Style;

pub fn drawn(model: &Model) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| view(model, frame)).unwrap();
    terminal
}

pub fn text(model: &Model) -> String {
    let terminal = drawn(model);
    let buffer = terminal.backend().buffer();
    let rows: Vec<String> = (0..buffer.area.height)
        .map(|y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
        .collect();
    rows.join("\n")
}

/// Each row's runs of one style, where that is not the plain one.
fn styles(model: &Model) -> String {
    let terminal = drawn(model);
    let buffer = terminal.backend().buffer();
    let mut out = Vec::new();
    for y in 0..buffer.area.height {
        let mut run: Option<(Style, String)> = None;
        let mut runs = Vec::new();
        for x in 0..=buffer.area.width {
            let style = (x < buffer.area.width).then(|| buffer[(x, y)].style());
            if run.as_ref().map(|(of, _)| *of) != style {
                runs.extend(run.take());
                run = style.map(|style| (style, String::new()));
            }
            if let (Some((_, text)), true) = (&mut run, x < buffer.area.width) {
                text.push_str(buffer[(x, y)].symbol());
            }
        }
        for (style, text) in
            runs.into_iter().filter(|(style, text)| !text.trim().is_empty() && named(*style) != "plain")
        {
            out.push(format!("{y:>2} {:<22} {}", named(style), text.trim()));
        }
    }
    out.join("\n")
}

fn named(style: Style) -> String {
    let colour = style.fg.filter(|fg| *fg != ratatui::style::Color::Reset).map(|fg| fg.to_string().to_lowercase());
    let modifiers = format!("{:?}", style.add_modifier).to_lowercase().replace("modifier(", "").replace([')', ' '], "");
    let parts: Vec<String> = colour.into_iter().chain((!style.add_modifier.is_empty()).then_some(modifiers)).collect();
    if parts.is_empty() { "plain".into() } else { parts.join("+") }
}

/// After the first command: goal met, a key that is new, its bar full.
fn after_first_command(size: (u16, u16)) -> Model {
    let mut model = model(size);
    let lines = typed("SET session:a1 alice EX 1800", Line::plain("OK"));
    update(&mut model, Message::Answered { lines, effects: Vec::new(), scene: Box::new(later()), screens: None });
    model
}

#[test]
fn the_first_frame_says_what_to_type() {
    insta::assert_snapshot!("first_80x24", text(&model((80, 24))));
    insta::assert_snapshot!("first_120x40", text(&model((120, 40))));
}

#[test]
fn a_goal_that_is_met_is_seen_in_a_tick_a_word_and_a_colour() {
    insta::assert_snapshot!("met_80x24", text(&after_first_command((80, 24))));
    insta::assert_snapshot!("met_120x40", text(&after_first_command((120, 40))));
    insta::assert_snapshot!("met_120x40_styles", styles(&after_first_command((120, 40))));
}

#[test]
fn a_hundred_columns_show_lesson_terminal_and_keys() {
    insta::assert_snapshot!("met_100x30", text(&after_first_command((100, 30))));
}

#[test]
fn the_disk_stands_where_the_lesson_was_on_a_small_screen() {
    let mut model = after_first_command((80, 24));
    update(&mut model, Message::Key(Key::of(Code::F(7))));
    insta::assert_snapshot!("disk_80x24", text(&model));
}

#[test]
fn two_terminals_stand_beside_each_other_with_their_letters_and_a_timeline() {
    let with_timeline = |size| {
        let mut model = model_of_two(size);
        (model.picture, model.picture_up) = (Picture::Timeline, true);
        model
    };
    insta::assert_snapshot!("two_80x24", text(&with_timeline((80, 24))));
    insta::assert_snapshot!("two_120x40", text(&with_timeline((120, 40))));
    insta::assert_snapshot!("two_120x40_styles", styles(&with_timeline((120, 40))));
    insta::assert_snapshot!("two_40x10", text(&with_timeline((40, 10))));
    let mut mono = with_timeline((120, 40));
    mono.theme = Theme::new(Kind::Mono, true);
    assert!(text(&mono).is_ascii());
    insta::assert_snapshot!("two_120x40_ascii", text(&mono));
}

/// The picture alone, at three sizes, and without colour or symbols.
fn picture_frames(name: &str, scene: &crate::tui::model::Scene, picture: Picture) {
    for size in [(80, 24), (120, 40), (40, 10)] {
        let mut model = model_of_two(size);
        model.scene = scene.clone();
        (model.picture, model.picture_up, model.focus) = (picture, true, Focus::Picture);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&model));
        model.theme = Theme::new(Kind::Mono, true);
        assert!(text(&model).is_ascii(), "{}", text(&model));
    }
}

#[test]
fn databases_show_who_stands_where_and_what_all_share() {
    picture_frames("databases", &shop(), Picture::Databases);
}

#[test]
fn orders_show_what_came_of_them_and_replay_one_in_lanes() {
    picture_frames("orders", &compared(), Picture::Orders);
}

#[test]
fn a_cluster_shows_nodes_slots_votes_and_what_each_node_knows() {
    picture_frames("cluster", &cluster(), Picture::Cluster);
    let mut model = model_of_two((80, 24));
    model.scene = cluster();
    (model.picture, model.picture_up) = (Picture::Cluster, true);
    for c in "GET {user:1}:cart".chars() {
        update(&mut model, Message::Key(Key::char(c)));
    }
    insta::assert_snapshot!("cluster_typed_80x24", text(&model));
    // As far in as it goes, along the map, and out again.
    model.focus = Focus::Picture;
    for key in ["+", "+", "+", "+", "+", "+", "l", "l", "-", "h", "-", "-", "-", "-", "-"] {
        update(&mut model, Message::Key(Key::char(key.chars().next().unwrap())));
        assert!(text(&model).contains("to a cell"), "{}", text(&model));
    }
    assert_eq!(model.slots, (16384, 0));
}

#[test]
fn the_atlas_lists_all_commands_by_groups() {
    let mut model = model((80, 24));
    update(&mut model, Message::Key(Key::alt(Code::Char('a'))));
    let shown = text(&model);
    // The number of commands grows with the engine; the frame is looked at without it.
    assert!(shown.contains("Commands of Redis") && shown.contains("string: One value behind one key"), "{shown}");
    assert!(shown.contains("APPEND"), "{shown}");
}

#[test]
fn of_six_servers_side_by_side_all_are_seen() {
    // Four had room, and the other two were not even counted.
    let mut model = model_of_two((120, 40));
    model.scene = shop();
    let mut derived = (*model.scene.derived).clone();
    let side = derived.twin.sides[0].clone();
    derived.twin.sides =
        (1..=6).map(|n| crate::picture::twin::Side { instance: format!("n{n}"), ..side.clone() }).collect();
    derived.twin.differs.clear();
    model.scene.derived = derived.into();
    (model.picture, model.picture_up) = (Picture::Twin, true);
    let shown = text(&model);
    for n in 1..=6 {
        assert!(shown.contains(&format!("n{n} :")), "{shown}");
    }
}

#[test]
fn servers_side_by_side_show_what_differs_and_what_each_lost() {
    picture_frames("servers", &shop(), Picture::Twin);
    let mut model = model_of_two((120, 40));
    model.scene = shop();
    assert!(!text(&model).contains("geheim"), "a password is never shown");
}

#[test]
fn mono_and_ascii_lose_no_meaning() {
    let mut model = after_first_command((80, 24));
    model.theme = Theme::new(Kind::Mono, true);
    let shown = text(&model);
    assert!(shown.is_ascii(), "{shown}");
    insta::assert_snapshot!("met_80x24_ascii", shown);
    assert!(
        drawn(&model)
            .backend()
            .buffer()
            .content
            .iter()
            .all(|cell| { cell.fg == ratatui::style::Color::Reset && cell.bg == ratatui::style::Color::Reset })
    );
}

#[test]
fn why_it_is_not_done_stands_above_the_hints() {
    let mut model = model((80, 24));
    model.scene.exercises[0].feedback = Some(Feedback {
        tone: Tone::Wrong,
        say: say("Your last SET removed the time limit that EXPIRE had set. Use SET with EX, or KEEPTTL."),
        goal: Some(0),
        future: Vec::new(),
    });
    insta::assert_snapshot!("why_80x24", text(&model));
}

#[test]
fn the_lessons_stand_below_their_modules_until_they_are_searched() {
    let mut model = model((80, 24));
    let row = |number: &str, title: &str, module: &str, solved| LessonRow {
        id: number.to_owned(),
        number: number.to_owned(),
        title: title.to_owned(),
        module: module.to_owned(),
        minutes: 5,
        solved,
        exercises: 4,
    };
    model.lessons = vec![
        row("0.1", "A key and a value", "A prompt and some keys", 4),
        row("1.1", "A session is a key", "Sessions", 1),
        row("1.9", "When not to use Redis for sessions", "Sessions", 0),
    ];
    update(&mut model, Message::Key(Key::of(Code::F(2))));
    insta::assert_snapshot!("lessons_80x24", text(&model));
    for letter in "sessions".chars() {
        update(&mut model, Message::Key(Key::of(Code::Char(letter))));
    }
    insta::assert_snapshot!("lessons_searched_80x24", text(&model));
}

#[test]
fn help_lists_the_keys_and_the_words() {
    let mut model = model((80, 24));
    update(&mut model, Message::Key(Key::of(Code::F(1))));
    insta::assert_snapshot!("help_80x24", text(&model));
}

#[test]
fn the_editor_numbers_the_lines() {
    let mut model = model((80, 24));
    let effect = crate::tutor::Effect::OpenEditor {
        path: "redis.conf".into(),
        text: "# the shop\nport 6379\nsave \"\"\n".into(),
    };
    let scene = Box::new(model.scene.clone());
    update(&mut model, Message::Answered { lines: Vec::new(), effects: vec![effect], scene, screens: None });
    insta::assert_snapshot!("editor_80x24", text(&model));
}

#[test]
fn too_small_says_so_and_the_smallest_do_not_panic() {
    for columns in 1..=41 {
        for rows in 1..=11 {
            drawn(&after_first_command((columns, rows)));
        }
    }
    assert!(text(&model((39, 12))).contains("Too small: now 39x12"));
}

#[test]
fn every_overlay_survives_every_size() {
    for key in [Code::F(1), Code::F(2), Code::F(10)] {
        let mut model = after_first_command((80, 24));
        update(&mut model, Message::Key(Key::of(key)));
        for size in [(1, 2), (40, 10), (59, 14), (60, 15), (99, 50), (100, 12), (200, 60), (300, 9)] {
            update(&mut model, Message::Resize(size.0, size.1));
            drawn(&model);
        }
    }
}

#[test]
fn nothing_printed_or_stored_reaches_the_frame_as_a_control_character() {
    let mut model = model((100, 30));
    let nasty = "\u{1b}]0;x\u{7}\u{9b}31m\u{202e}evil";
    let mut scene = later();
    scene.lesson = std::sync::Arc::new({
        let mut lesson = (*scene.lesson).clone();
        lesson.title = nasty.into();
        lesson.prose.insert(0, crate::lesson::Block::Paragraph(say(nasty)));
        lesson
    });
    scene.exercises[0].title = nasty.into();
    scene.exercises[1].task = say(nasty);
    scene.terminals[0].prompt = nasty.into();
    scene.terminals[0].name = nasty.into();
    scene.world.instances[0].name = nasty.into();
    scene.world.instances[0].dbs[0].keys.push(super::fixture::key(
        nasty,
        crate::snapshot::Value::String(nasty.into()),
        None,
    ));
    let lines = vec![(0, Line(vec![crate::console::Span { class: Class::Plain, text: nasty.into() }]))];
    update(&mut model, Message::Answered { lines, effects: Vec::new(), scene: Box::new(scene), screens: None });
    let shown = text(&model);
    assert!(shown.contains("evil"));
    assert!(
        shown.chars().all(|c| c == '\n' || !c.is_control() && !('\u{202a}'..='\u{202e}').contains(&c)),
        "{shown:?}"
    );
}
