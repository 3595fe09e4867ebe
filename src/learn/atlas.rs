//! The command atlas for a learner: a command's page with the lessons that teach it and an example run in a copy of the world.

use super::Desk;
use crate::assist::atlas::{self, Page};
use crate::console::{Class, Line};
use crate::lesson::Lesson;
use std::sync::Arc;

/// The page of a command or of a group, title first. None: there is neither.
pub fn page(desk: &Desk, name: &str) -> Option<(String, Vec<Line>)> {
    if let Some(page) = atlas::page(name) {
        return Some((page.name.to_owned(), of_command(desk, &page)));
    }
    let chapter = atlas::named(name)?;
    let mut lines = vec![Line::new(Class::Note, chapter.says), Line::plain("")];
    let commands = atlas::commands_of(chapter);
    let wide = commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, summary) in commands {
        lines.push(Line::new(Class::Key, format!("{name:<wide$}  ")).and(Class::Plain, summary));
    }
    Some((format!("Commands: {}", chapter.name()), lines))
}

fn of_command(desk: &Desk, page: &Page) -> Vec<Line> {
    let fact = |name: &str, text: &str| Line::new(Class::Title, format!("{name:<12}")).and(Class::Plain, text);
    let mut lines = vec![
        Line::new(Class::Key, page.name).and(Class::Plain, format!(" {}", page.syntax)),
        Line::new(Class::Note, page.summary),
        Line::plain(""),
        fact("group", &format!("{}: {}", page.chapter.name(), page.chapter.says)),
        fact("complexity", if page.complexity.is_empty() { "depends on the subcommand" } else { page.complexity }),
        fact("since", page.since),
    ];
    if !page.subcommands.is_empty() {
        lines.push(fact("subcommands", &page.subcommands.join(", ")));
    }
    let teaches = |lesson: &&Arc<Lesson>| lesson.teaches.iter().any(|taught| atlas::teaches(taught, page.name));
    for (i, lesson) in desk.course.lessons().filter(teaches).enumerate() {
        let (number, title) = (&lesson.number, &lesson.title);
        lines.push(fact(if i == 0 { "taught in" } else { "" }, &format!("{number} {title}  (:lesson {number})")));
    }
    if !page.example.is_empty() {
        lines.push(Line::plain(""));
        lines.push(Line::new(Class::Dim, "An example, run just now in an empty copy of your world:"));
        lines.extend(desk.session().example(page.example));
    }
    lines
}

/// The groups, a line each.
pub fn groups() -> Vec<Line> {
    let wide = atlas::CHAPTERS.iter().map(|chapter| chapter.name().len()).max().unwrap_or(0);
    let line = |chapter: &atlas::Chapter| {
        let (name, count) = (chapter.name(), atlas::commands_of(chapter).len());
        Line::new(Class::Key, format!("@{name:<wide$}  "))
            .and(Class::Plain, format!("{} {count} commands.", chapter.says))
    };
    atlas::CHAPTERS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::Nowhere;
    use crate::lesson::Course;

    #[test]
    fn a_page_names_its_lessons_and_its_example_leaves_no_trace() {
        let mut desk =
            Desk::open(Course::bundled(), Box::new(crate::backend::lesson::embedded), Box::new(Nowhere), Some("0.1"))
                .unwrap();
        desk.submit(0, "SET shop:open yes");
        let (title, lines) = page(&desk, "incr").expect("INCR is a command");
        let text: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(title, "INCR");
        assert!(text.iter().any(|line| line.starts_with("taught in") && line.contains("0.3")), "{text:?}");
        assert!(text.iter().any(|line| line == "(integer) 2"), "{text:?}");
        assert!(page(&desk, "@list").is_some() && page(&desk, "sofa").is_none());
        let keys = &desk.session().snapshot().instances[0].dbs[0].keys;
        assert_eq!(keys.iter().map(|key| key.name.lossy()).collect::<Vec<_>>(), ["shop:open"]);
    }
}
