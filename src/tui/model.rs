//! Everything the screen is made from. `view` draws it, `update` changes it, nothing else does.
//!
//! A [`Scene`](super::scene::Scene) is what the lab looks like at a moment, taken from the tutor's session by looking; the rest is what only a
//! screen has: focus, scrolling, the line being typed, what lies over it. Nothing here depends on the size of the terminal
//! except through `size`, so that a resize needs no other care.

use super::editor::Editor;
use super::input::Input;
pub use super::scene::{Derived, Scene, TerminalState, Write};
use super::theme::{Kind, Theme};
use crate::assist::explain::keys_of;
use crate::base::slot::SLOTS;
use crate::base::{Bytes, Millis};
use crate::console::Line;
pub use crate::picture::Picture;
use crate::picture::cluster;
use crate::snapshot;
use std::collections::{BTreeMap, VecDeque};

/// How many lines of a terminal are kept.
pub const SCROLLBACK: usize = 5000;
/// A line of a terminal longer than this many bytes is cut.
pub const LINE_BYTES_SHOWN: usize = 16 * 1024;

pub struct Model {
    /// Columns and rows.
    pub size: (u16, u16),
    pub scene: Scene,
    /// One per terminal of the scene.
    pub shells: Vec<Shell>,
    /// Index of the terminal that is typed into.
    pub active: usize,
    pub focus: Focus,
    pub picture: Picture,
    /// On a small screen: the picture stands where the lesson would.
    pub picture_up: bool,
    pub maximised: bool,
    /// The first row of the lesson that is seen: a block and a row of it.
    pub lesson_top: (usize, usize),
    pub picture_top: usize,
    /// The slot map: how many slots are seen, and from which on.
    pub slots: (usize, usize),
    pub overlay: Option<Overlay>,
    /// One line from the screen itself, until the next key.
    pub notice: Option<String>,
    /// Ctrl-C was pressed at an empty line: once more leaves.
    pub leaving: bool,
    pub theme: Theme,
    pub mouse: bool,
    pub hints: bool,
    pub marks: BTreeMap<KeyAt, Mark>,
    /// For each key with a TTL: when it ends, and the span it had when that was first seen.
    pub spans: BTreeMap<KeyAt, (Millis, Millis)>,
    pub lessons: Vec<LessonRow>,
    /// Completions being walked through with TAB.
    pub completing: Option<Completing>,
}

/// Which key of which server: instance, db, name.
pub type KeyAt = (String, usize, Bytes);

/// Lessons that teach one of these are about databases, or about who may do what in them.
const ROOMS: &[&str] = &["SELECT", "MOVE", "SWAPDB", "FLUSHDB", "ACL"];

/// What happened to a key at the last step.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    New,
    Changed,
    /// It is no more; the keyspace event that took it: `del`, `expired`.
    Gone(String),
}

/// One terminal on the screen.
#[derive(Default)]
pub struct Shell {
    pub lines: VecDeque<Line>,
    pub input: Input,
    /// Rows scrolled up from the end.
    pub up: usize,
    /// Something was printed while another terminal was shown.
    pub unread: bool,
}

impl Shell {
    pub fn print(&mut self, mut line: Line) {
        let mut left = LINE_BYTES_SHOWN;
        for span in &mut line.0 {
            if span.text.len() > left {
                let at = (0..=left).rev().find(|i| span.text.is_char_boundary(*i)).unwrap_or(0);
                let missing = span.text.len() - at;
                span.text.truncate(at);
                span.text.push_str(&format!(" ... {missing} more bytes"));
                left = 0;
            } else {
                left -= span.text.len();
            }
        }
        self.lines.push_back(line);
        if self.lines.len() > SCROLLBACK {
            self.lines.pop_front();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Focus {
    Terminal,
    Lesson,
    Picture,
}

/// What lies over the screen.
pub enum Overlay {
    Help(List),
    Lessons(List),
    Palette(List),
    /// All commands, by groups.
    Atlas(List),
    /// A future, a played solution, a help text.
    Reading {
        title: String,
        lines: Vec<Line>,
        top: usize,
    },
    Editor(Box<Editor>),
    /// Several lines were pasted: run them?
    Paste {
        terminal: usize,
        text: String,
        lines: usize,
    },
}

/// A list with a search and a selection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    pub wanted: String,
    pub selected: usize,
}

/// A lesson in the list of lessons.
#[derive(Clone, Debug, PartialEq)]
pub struct LessonRow {
    pub id: String,
    pub number: String,
    pub title: String,
    pub module: String,
    pub minutes: u32,
    pub solved: usize,
    pub exercises: usize,
}

/// A walk through completions.
#[derive(Clone, Debug, PartialEq)]
pub struct Completing {
    pub from: usize,
    pub words: Vec<String>,
    pub at: usize,
}

/// What a new model needs to know of the terminal it runs in.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub size: (u16, u16),
    pub kind: Kind,
    pub ascii: bool,
}

impl Model {
    /// `screens`: what each terminal shows already.
    pub fn new(look: Look, scene: Scene, screens: Vec<Vec<Line>>, lessons: Vec<LessonRow>) -> Model {
        let mut model = Model {
            size: look.size,
            scene,
            shells: Vec::new(),
            active: 0,
            focus: Focus::Terminal,
            picture: Picture::Keys,
            picture_up: false,
            maximised: false,
            lesson_top: (0, 0),
            picture_top: 0,
            slots: (SLOTS, 0),
            overlay: None,
            notice: None,
            leaving: false,
            theme: Theme::new(look.kind, look.ascii),
            mouse: false,
            hints: true,
            marks: BTreeMap::new(),
            spans: BTreeMap::new(),
            lessons,
            completing: None,
        };
        model.fill(screens);
        model.picture = model.pictures()[0];
        model.note_spans();
        model
    }

    /// Sets what the terminals show; what is being typed and the history stay.
    pub fn fill(&mut self, screens: Vec<Vec<Line>>) {
        let mut old = std::mem::take(&mut self.shells).into_iter();
        let count = self.scene.terminals.len().max(screens.len());
        let mut screens = screens.into_iter();
        for _ in 0..count {
            let mut shell = old.next().unwrap_or_default();
            shell.lines.clear();
            shell.up = 0;
            let fresh = shell.input.history.is_empty();
            for line in screens.next().unwrap_or_default() {
                if let Some(typed) = typed(&line).filter(|_| fresh) {
                    shell.input.record(&typed);
                }
                shell.print(line);
            }
            self.shells.push(shell);
        }
        self.active = self.active.min(self.shells.len().saturating_sub(1));
    }

    /// The names of the terminals, the first is A.
    pub fn names(&self) -> Vec<String> {
        self.scene.terminals.iter().map(|terminal| terminal.name.clone()).collect()
    }

    pub fn shell(&self) -> Option<&Shell> {
        self.shells.get(self.active)
    }

    pub fn shell_mut(&mut self) -> Option<&mut Shell> {
        self.shells.get_mut(self.active)
    }

    /// The cluster as the node sees it that the active terminal speaks to.
    pub fn cluster(&self) -> Option<&cluster::Facts> {
        cluster::view_from(&self.scene.derived.cluster, self.active)
    }

    /// The keys of the line that is being typed, and what their slots follow from.
    pub fn typed_keys(&self) -> Vec<cluster::Hashed> {
        self.shell().map(|shell| keys_of(shell.input.text()).iter().map(cluster::hashed).collect()).unwrap_or_default()
    }

    /// First slot and how many, of a map of `columns` cells: all of them, or at least one to a cell.
    pub fn slots_seen(&self, columns: usize) -> (usize, usize) {
        let span = self.slots.0.clamp(columns.clamp(1, SLOTS), SLOTS);
        (self.slots.1.min(SLOTS - span), span)
    }

    /// The pictures that suit the lesson, the most telling first.
    pub fn pictures(&self) -> Vec<Picture> {
        let world = &self.scene.world;
        // A lesson whose servers write to disk is about that; so is one in which a file was written.
        let persists = |conf: &str| {
            conf.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|words| match words.as_slice() {
                [name, value, ..] if name.eq_ignore_ascii_case("save") => value.as_bytes()[0].is_ascii_digit(),
                [name, value] => name.eq_ignore_ascii_case("appendonly") && value.eq_ignore_ascii_case("yes"),
                _ => false,
            })
        };
        let disk = self.scene.lesson.world.instances.iter().any(|instance| persists(&instance.conf))
            || world.instances.iter().any(|i| {
                i.disk.aof_enabled || i.disk.files.iter().any(|f| f.path == "dump.rdb" || f.path.ends_with("/dump.rdb"))
            });
        let mut pictures = Vec::new();
        let lesson = &self.scene.lesson;
        let several = lesson.world.terminals.len() > 1;
        let twins = lesson.world.instances.len() > 1;
        if self.scene.orders.is_some() {
            pictures.push(Picture::Orders);
        }
        let rooms = lesson.teaches.iter().any(|taught| ROOMS.contains(&taught.split(' ').next().unwrap_or("")));
        let cluster = self.cluster().is_some();
        if cluster {
            pictures.push(Picture::Cluster);
        } else if twins {
            pictures.push(Picture::Twin);
        }
        if rooms {
            pictures.push(Picture::Databases);
        }
        if several && !disk {
            pictures.push(Picture::Timeline);
        }
        if disk {
            pictures.push(Picture::Disk);
        }
        if !world.sql.is_empty() {
            pictures.push(Picture::Sql);
        }
        pictures.push(Picture::Keys);
        if !disk {
            pictures.push(Picture::Disk);
        }
        if !pictures.contains(&Picture::Timeline) {
            pictures.push(Picture::Timeline);
        }
        let elsewhere = |instance: &snapshot::Instance| {
            instance.dbs.iter().any(|db| db.index > 0) || instance.clients.iter().any(|client| client.db > 0)
        };
        if (cluster || !twins) && world.instances.len() > 1 {
            pictures.push(Picture::Twin);
        }
        if !rooms && world.instances.iter().any(elsewhere) {
            pictures.push(Picture::Databases);
        }
        // What was asked for by name is there as long as it is looked at.
        if !pictures.contains(&self.picture) {
            pictures.push(self.picture);
        }
        pictures
    }

    /// The server that the active terminal speaks to, else the first that runs: index into the world's instances, and the db.
    pub fn here(&self) -> Option<(usize, usize)> {
        let name = self.scene.terminals.get(self.active).map(|t| t.name.as_str());
        let instances = &self.scene.world.instances;
        instances
            .iter()
            .enumerate()
            .find_map(|(i, instance)| {
                let client = instance.clients.iter().find(|c| c.terminal.as_deref() == name && name.is_some())?;
                Some((i, client.db))
            })
            .or_else(|| {
                let running = instances.iter().position(|instance| instance.state == snapshot::State::Running);
                (!instances.is_empty()).then(|| (running.unwrap_or(0), 0))
            })
    }

    /// Remembers how long each TTL was when it was first seen, which is what its bar runs down from.
    pub fn note_spans(&mut self) {
        let now = self.scene.world.now;
        let mut spans = BTreeMap::new();
        for (at, key) in keys(&self.scene.world) {
            if let Some(end) = key.expires_at {
                let span = match self.spans.get(&at) {
                    Some((old_end, span)) if *old_end == end => *span,
                    _ => end.since(now),
                };
                spans.insert(at, (end, span));
            }
        }
        self.spans = spans;
    }
}

/// What was typed, if `line` is a prompt with it.
fn typed(line: &Line) -> Option<String> {
    use crate::console::Class;
    let echo: String = line.0.iter().filter(|span| span.class == Class::Echo).map(|span| span.text.as_str()).collect();
    (!echo.is_empty()).then_some(echo)
}

/// All keys of all instances.
pub fn keys(world: &snapshot::World) -> impl Iterator<Item = (KeyAt, &snapshot::Key)> {
    world.instances.iter().flat_map(|instance| {
        instance.dbs.iter().flat_map(move |db| {
            db.keys.iter().map(move |key| ((instance.name.clone(), db.index, key.name.clone()), key))
        })
    })
}
