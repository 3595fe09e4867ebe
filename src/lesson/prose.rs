//! lesson.md to structured blocks. The only user of pulldown-cmark.
//!
//! Front matter is split off by hand (the parser's own metadata blocks swallow text between two `---` lines further down).
//! Text keeps its inline styles; no control character survives, so nothing in a lesson can speak to the terminal.

use super::{Alert, Block, Fault, Inline, Source};
use crate::base::quote::is_dangerous;
use crate::check::form::{Field, Reader, field, needed, spelled_like};
use pulldown_cmark::{BlockQuoteKind, Event, Options, Parser, Tag, TagEnd};
use std::iter::Peekable;
use std::ops::Range;

pub(crate) const FRONT_MATTER: &[Field] =
    &[needed("title", "TEXT", "the lesson's title"), field("minutes", "N", "how long it takes (as its length says)")];

/// Code and prose have to fit the narrowest lesson pane.
pub const COLUMNS_MAX: usize = 76;

/// More is no prose, and would end the stack of whoever walks through it.
const DEPTH_MAX: usize = 16;

/// What lesson.md says.
pub struct Page {
    pub title: String,
    /// None: as its length says.
    pub minutes: Option<u32>,
    pub blocks: Vec<Block>,
    pub faults: Vec<Fault>,
}

/// `exercises`: the ids of lab.yaml, None if it could not be read and placeholders are not to be compared with it.
pub fn parse(source: &Source, exercises: Option<&[String]>) -> Page {
    let mut page = Page { title: String::new(), minutes: None, blocks: Vec::new(), faults: Vec::new() };
    let body = front_matter(source, &mut page);
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_GFM;
    let events = Parser::new_ext(&source.text[body..], options).into_offset_iter().peekable();
    let mut walker = Walker { events, source, body, exercises, depth: 0, placed: Vec::new(), faults: Vec::new() };
    page.blocks = walker.blocks();
    page.faults.append(&mut walker.faults);
    page
}

/// A short text of lab.yaml, such as a goal, with its inline styles; blocks are run together.
pub fn inlines(text: &str) -> Vec<Inline> {
    let mut out = Vec::new();
    let mut style = Inline::default();
    for event in Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH) {
        inline(&event, &mut style, &mut out);
    }
    out
}

/// Where the body begins.
fn front_matter(source: &Source, page: &mut Page) -> usize {
    let text = &source.text;
    let missing = |message: &str| {
        Fault::new(&source.path, text, 1, 1, message).help("line 1 is `---`, then `title: ...`, then a line `---`")
    };
    let mut lines = text.split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some("---") {
        page.faults.push(missing("lesson.md begins with front matter"));
        return 0;
    }
    let mut at = text.find('\n').map_or(text.len(), |newline| newline + 1);
    let begin = at;
    for line in lines {
        if line.trim_end() == "---" {
            front_fields(source, begin..at, page);
            return at + line.len();
        }
        at += line.len();
    }
    page.faults.push(missing("the front matter has no end"));
    text.len()
}

fn front_fields(source: &Source, range: Range<usize>, page: &mut Page) {
    let yaml = &source.text[range];
    let mut reader = Reader::default();
    match super::parse::tree::parse(yaml) {
        Err((message, line, column)) => {
            page.faults.push(Fault::new(&source.path, &source.text, line + 1, column, message));
        }
        Ok(tree) => {
            if let Some(fields) = reader.fields(&tree, "the front matter", FRONT_MATTER) {
                page.title = fields.get("title").and_then(|node| reader.text(node)).unwrap_or_default();
                page.minutes = fields.get("minutes").and_then(|node| reader.number(node, "minutes"));
            }
            for problem in reader.problems {
                let (line, column) = super::parse::tree::place(yaml, problem.at);
                let mut fault = Fault::new(&source.path, &source.text, line.max(1) + 1, column.max(1), problem.message);
                fault.help = problem.help;
                page.faults.push(fault);
            }
        }
    }
}

struct Walker<'a, I: Iterator<Item = (Event<'a>, Range<usize>)>> {
    events: Peekable<I>,
    source: &'a Source,
    body: usize,
    exercises: Option<&'a [String]>,
    /// Blocks around the one that is being read.
    depth: usize,
    /// Exercises that have their place already.
    placed: Vec<usize>,
    faults: Vec<Fault>,
}

impl<'a, I: Iterator<Item = (Event<'a>, Range<usize>)>> Walker<'a, I> {
    /// Blocks up to the end of what encloses them.
    fn blocks(&mut self) -> Vec<Block> {
        let mut out = Vec::new();
        while let Some((event, range)) = self.events.peek().cloned() {
            match event {
                Event::End(_) => break,
                Event::Start(tag) => {
                    self.events.next();
                    self.block(tag, range, &mut out);
                }
                Event::Rule => {
                    self.events.next();
                    out.push(Block::Rule);
                }
                Event::Html(_) => {
                    self.events.next();
                }
                // A tight list item holds its text without a paragraph.
                _ => {
                    let text = self.inlines_here();
                    out.push(Block::Paragraph(text));
                }
            }
        }
        out
    }

    /// One block, its start already taken; takes its end.
    fn block(&mut self, tag: Tag<'a>, range: Range<usize>, out: &mut Vec<Block>) {
        if self.depth == DEPTH_MAX {
            return self.pass_over(range.start);
        }
        self.depth += 1;
        match tag {
            Tag::Paragraph => {
                let text = self.inlines_here();
                out.push(Block::Paragraph(text));
            }
            Tag::Heading { level, .. } => {
                let text = self.inlines_here();
                out.push(Block::Heading { level: level as u8, text });
            }
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    pulldown_cmark::CodeBlockKind::Fenced(info) => info.to_string(),
                    pulldown_cmark::CodeBlockKind::Indented => String::new(),
                };
                let mut text = String::new();
                let mut line = 0;
                while let Some((Event::Text(part), at)) =
                    self.events.next_if(|(event, _)| matches!(event, Event::Text(_)))
                {
                    if line == 0 {
                        line = self.line_of(at.start).0;
                    }
                    text.push_str(&part);
                }
                out.push(Block::Code { info: clean(&info), text: clean_lines(&text), line });
            }
            Tag::List(first) => {
                let mut items = Vec::new();
                while let Some((Event::Start(Tag::Item), _)) = self.events.peek() {
                    self.events.next();
                    items.push(self.blocks());
                    self.events.next();
                }
                out.push(Block::List { first, items });
            }
            Tag::BlockQuote(kind) => {
                let kind = kind.map(|kind| match kind {
                    BlockQuoteKind::Note => Alert::Note,
                    BlockQuoteKind::Tip => Alert::Tip,
                    BlockQuoteKind::Important => Alert::Important,
                    BlockQuoteKind::Warning => Alert::Warning,
                    BlockQuoteKind::Caution => Alert::Caution,
                });
                let blocks = self.blocks();
                out.push(Block::Quote { kind, blocks });
            }
            Tag::Table(_) => out.push(self.table()),
            Tag::HtmlBlock => {
                let mut html = String::new();
                while let Some((Event::Html(part) | Event::Text(part), _)) =
                    self.events.next_if(|(event, _)| matches!(event, Event::Html(_) | Event::Text(_)))
                {
                    html.push_str(&part);
                }
                out.extend(self.comments(&html, range.start));
            }
            _ => {
                let inner = self.blocks();
                out.extend(inner);
            }
        }
        for (event, _) in self.events.by_ref() {
            if matches!(event, Event::End(_)) {
                break;
            }
        }
        self.depth -= 1;
    }

    /// A block that stands too deep: told, and left out with all that is in it.
    fn pass_over(&mut self, at: usize) {
        let fault = self.fault(at, format!("blocks stand in each other at most {DEPTH_MAX} deep"));
        if !self.faults.iter().any(|told| told.message == fault.message) {
            self.faults.push(fault);
        }
        let mut open = 1;
        while open > 0
            && let Some((event, _)) = self.events.next()
        {
            match event {
                Event::Start(_) => open += 1,
                Event::End(_) => open -= 1,
                _ => {}
            }
        }
    }

    fn table(&mut self) -> Block {
        let (mut head, mut rows) = (Vec::new(), Vec::new());
        while let Some((Event::Start(tag), _)) = self.events.next_if(|(event, _)| matches!(event, Event::Start(_))) {
            let mut cells = Vec::new();
            while self.events.next_if(|(event, _)| matches!(event, Event::Start(Tag::TableCell))).is_some() {
                cells.push(self.inlines_here());
                self.events.next();
            }
            self.events.next();
            if matches!(tag, Tag::TableHead) { head = cells } else { rows.push(cells) }
        }
        Block::Table { head, rows }
    }

    /// Exercises placed by comments; other comments are for the author.
    fn comments(&mut self, html: &str, at: usize) -> Vec<Block> {
        let mut out = Vec::new();
        for (offset, line) in html.split_inclusive('\n').scan(0, |sum, line| {
            let start = *sum;
            *sum += line.len();
            Some((start, line))
        }) {
            let inner = line.trim().strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->"));
            let Some(id) = inner.and_then(|inner| inner.trim().strip_prefix("do:")).map(str::trim) else {
                if inner.is_none()
                    && !line.trim().is_empty()
                    && line.trim_start().starts_with('<')
                    && !line.contains("<!--")
                {
                    let fault = self.fault(at + offset, "HTML is not shown in a lesson");
                    self.faults.push(fault.help("use markdown"));
                }
                continue;
            };
            let Some(exercises) = self.exercises else { continue };
            match exercises.iter().position(|each| each == id) {
                Some(index) if !self.placed.contains(&index) => {
                    self.placed.push(index);
                    out.push(Block::Exercise(index));
                }
                Some(_) => {
                    let fault = self.fault(at + offset, format!("the exercise `{id}` is placed twice"));
                    self.faults.push(fault);
                }
                None => {
                    let help = spelled_like(id, exercises.iter().map(String::as_str));
                    let fault = self.fault(at + offset, format!("lab.yaml has no exercise `{id}`"));
                    self.faults.push(fault.help(help));
                }
            }
        }
        out
    }

    /// Inline text up to the next end or start of a block.
    fn inlines_here(&mut self) -> Vec<Inline> {
        let mut out = Vec::new();
        let mut style = Inline::default();
        while let Some((event, _)) = self.events.next_if(|(event, _)| is_inline(event)) {
            inline(&event, &mut style, &mut out);
        }
        out
    }

    fn line_of(&self, offset: usize) -> (usize, usize) {
        // An offset into HTML is counted in what the parser made of it, which may be a few bytes off.
        let text = &self.source.text;
        let before = &text[..text.floor_char_boundary(self.body + offset)];
        let line = before.matches('\n').count() + 1;
        (line, before.len() - before.rfind('\n').map_or(0, |newline| newline + 1) + 1)
    }

    fn fault(&self, offset: usize, message: impl Into<String>) -> Fault {
        let (line, column) = self.line_of(offset);
        Fault::new(&self.source.path, &self.source.text, line, column, message)
    }
}

fn is_inline(event: &Event) -> bool {
    match event {
        Event::Start(tag) => {
            matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. })
        }
        Event::End(tag) => {
            matches!(tag, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image)
        }
        Event::Rule | Event::Html(_) => false,
        _ => true,
    }
}

/// Adds what `event` says to `out`, in the style of what encloses it.
fn inline(event: &Event, style: &mut Inline, out: &mut Vec<Inline>) {
    let push = |out: &mut Vec<Inline>, text: &str, code: bool, style: &Inline| {
        let run = Inline { text: clean(text), code, ..style.clone() };
        match out.last_mut() {
            Some(last) if Inline { text: run.text.clone(), ..last.clone() } == run => last.text.push_str(&run.text),
            _ => out.push(run),
        }
    };
    match event {
        Event::Text(text) | Event::InlineHtml(text) => push(out, text, false, style),
        Event::Code(text) => push(out, text, true, style),
        Event::SoftBreak | Event::HardBreak => push(out, " ", false, style),
        Event::Start(Tag::Emphasis) => style.emphasis = true,
        Event::End(TagEnd::Emphasis) => style.emphasis = false,
        Event::Start(Tag::Strong) => style.strong = true,
        Event::End(TagEnd::Strong) => style.strong = false,
        Event::Start(Tag::Strikethrough) => style.struck = true,
        Event::End(TagEnd::Strikethrough) => style.struck = false,
        Event::Start(Tag::Link { dest_url, .. }) => style.link = Some(clean(dest_url)),
        Event::End(TagEnd::Link) => style.link = None,
        _ => {}
    }
}

/// `text` without what a terminal could take for more than text.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !is_dangerous(*c)).collect()
}

fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(&line.replace('\t', "    ")) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lesson::plain_text;

    fn page(text: &str) -> Page {
        let source = Source { path: "lesson.md".into(), text: text.into() };
        parse(&source, Some(&["a".into(), "b".into()]))
    }

    #[test]
    fn a_page_becomes_blocks() {
        let page = page(
            "---\ntitle: T\n---\n\n# Head\n\nSome **bold** and `code`.\n\n<!-- do: a -->\n\n- one\n- two\n\n| x | y |\n|---|---|\n| 1 | `2` |\n\n> [!TIP]\n> do it\n\n```redis\n> GET a\n(nil)\n```\n",
        );
        assert_eq!(page.faults, []);
        assert_eq!(page.title, "T");
        assert!(matches!(&page.blocks[0], Block::Heading { level: 1, .. }));
        assert!(matches!(&page.blocks[1], Block::Paragraph(text) if text[1].strong && text[3].code));
        assert_eq!(page.blocks[2], Block::Exercise(0));
        assert!(matches!(&page.blocks[3], Block::List { first: None, items } if items.len() == 2));
        assert!(
            matches!(&page.blocks[4], Block::Table { head, rows } if head.len() == 2 && plain_text(&rows[0][1]) == "`2`")
        );
        assert!(matches!(&page.blocks[5], Block::Quote { kind: Some(Alert::Tip), .. }));
        assert_eq!(page.blocks[6], Block::Code { info: "redis".into(), text: "> GET a\n(nil)\n".into(), line: 22 });
    }

    #[test]
    fn an_unknown_placeholder_is_a_fault_with_its_line() {
        let page = page("---\ntitle: T\n---\ntext\n\n<!-- do: c -->\n");
        assert_eq!((page.faults[0].line, page.faults[0].message.as_str()), (6, "lab.yaml has no exercise `c`"));
    }

    #[test]
    fn quotes_in_quotes_without_end_are_a_fault_and_not_the_end() {
        let page = page(&format!("---\ntitle: T\n---\n{} deep\n\nand on\n", ">".repeat(20_000)));
        assert_eq!(page.faults.len(), 1);
        assert_eq!(
            (page.faults[0].line, page.faults[0].message.as_str()),
            (4, "blocks stand in each other at most 16 deep")
        );
        assert_eq!(page.blocks.len(), 2);
    }

    #[test]
    fn an_exercise_has_one_place() {
        // It was noticed only where both comments stood in one block.
        let page = page("---\ntitle: T\n---\n<!-- do: a -->\n\ntext\n\n<!-- do: a -->\n");
        assert_eq!((page.faults[0].line, page.faults[0].message.as_str()), (8, "the exercise `a` is placed twice"));
        assert_eq!(page.blocks.iter().filter(|block| **block == Block::Exercise(0)).count(), 1);
    }

    #[test]
    fn no_control_character_comes_through() {
        let page = page("---\ntitle: T\n---\na\u{1b}[31mb\u{202e} `x\u{7}`\n\n```\n\u{1b}]0;x\n```\n");
        let shown = format!("{:?}", page.blocks);
        assert!(!shown.contains("\\u{1b}") && !shown.contains("\\u{202e}") && !shown.contains("\\u{7}"), "{shown}");
    }

    #[test]
    fn missing_front_matter_is_said() {
        assert_eq!(page("# x\n").faults[0].line, 1);
        assert!(page("---\ntitle: x\n").faults[0].message.contains("no end"));
        assert!(page("---\ntitel: x\n---\n").faults[0].help.as_deref().is_some_and(|help| help.contains("title")));
    }
}
