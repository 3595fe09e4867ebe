//! The data of a course: modules, lessons, worlds, exercises and structured prose. Nothing here runs anything.

use crate::base::Millis;
use crate::check::{Assertion, Script};
use std::sync::Arc;

/// A course: modules in order, each with lessons in order.
#[derive(Clone, Debug)]
pub struct Course {
    pub id: String,
    pub title: String,
    pub modules: Vec<Module>,
}

#[derive(Clone, Debug)]
pub struct Module {
    /// As in the folder's name: `01-sessions` is 1.
    pub number: usize,
    pub title: String,
    pub lessons: Vec<Arc<Lesson>>,
}

/// One lesson, 4-10 minutes.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// Stays the same when lessons move: `sessions.ttl`. Progress is kept by it.
    pub id: String,
    pub title: String,
    /// The module's title.
    pub module: String,
    /// `1.2`: module and lesson.
    pub number: String,
    pub minutes: u32,
    /// Concepts used and first taught here.
    pub needs: Vec<String>,
    pub teaches: Vec<String>,
    pub world: World,
    pub prose: Vec<Block>,
    pub exercises: Vec<Exercise>,
    /// Changes whenever either file does (16 hex digits).
    pub hash: String,
    /// The two files, for messages to the author.
    pub markdown: Source,
    pub yaml: Source,
}

/// A file of a course.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Below the course's folder.
    pub path: String,
    pub text: Arc<str>,
}

/// What a lesson starts with.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub clock: Millis,
    pub seed: u64,
    pub instances: Vec<Instance>,
    /// The first instances are its nodes.
    pub cluster: Option<Cluster>,
    pub terminals: Vec<Terminal>,
    /// Path and contents.
    pub files: Vec<(String, String)>,
    pub sql: Option<Sql>,
    /// Typed before the lesson begins, by instances, `shell` or `sql`; the learner's history begins after it.
    pub setup: Script,
}

/// One redis-server process.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub name: String,
    pub port: u16,
    /// Its config file, below the lab's home: `redis.conf`.
    pub file: String,
    /// The text of that file, `port` and `dir` included.
    pub conf: String,
    /// False: the file is there, but nobody started a server with it.
    pub started: bool,
}

/// A cluster that is formed before the lesson begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub nodes: usize,
    /// The first of the nodes; the others follow them in turn.
    pub primaries: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Terminal {
    pub name: String,
    pub opens: Opens,
}

/// Where a terminal stands at first.
#[derive(Clone, Debug, PartialEq)]
pub enum Opens {
    /// `redis-cli` on this instance.
    Redis(String),
    Shell,
    Sql,
}

/// The SQL database of the lab's machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sql {
    /// Statements that make tables and rows, run once.
    pub schema: Vec<String>,
    pub cron: Vec<Cron>,
}

/// A statement run again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    pub every: Millis,
    pub run: String,
}

/// Something to do, and how it is known to be done.
#[derive(Clone, Debug)]
pub struct Exercise {
    pub id: String,
    pub title: String,
    /// What to do, in a sentence or two.
    pub task: Vec<Inline>,
    /// Typed when the exercise begins, so that it can be done even when earlier ones were skipped.
    pub setup: Script,
    pub questions: Vec<Question>,
    pub goals: Vec<Goal>,
    pub wrong: Vec<Wrong>,
    /// From vague to plain; at least two.
    pub hints: Vec<String>,
    /// At least one.
    pub solutions: Vec<Script>,
    /// Where it stands in lab.yaml.
    pub at: u32,
}

#[derive(Clone, Debug)]
pub struct Goal {
    pub say: Vec<Inline>,
    pub check: Assertion,
    pub when: When,
    pub at: u32,
}

/// When a goal's check must hold. A check on the future is an assertion of its own kind (`future`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At the moment at which the exercise is judged.
    Now,
    /// Was true once.
    Latched,
    /// From the start of the exercise to its end.
    Always,
}

/// A known wrong attempt and what to say about it.
#[derive(Clone, Debug)]
pub struct Wrong {
    pub when: Assertion,
    /// Commands that lead there, for the proof.
    pub attempt: Script,
    pub say: Vec<Inline>,
    pub at: u32,
}

/// A question to be answered before running what it asks about.
#[derive(Clone, Debug)]
pub struct Question {
    pub id: String,
    pub ask: Vec<Inline>,
    /// Empty: free text.
    pub choices: Vec<Choice>,
    pub truth: Truth,
    pub at: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub text: String,
    /// What to tell who chose it, if it is wrong.
    pub say: Vec<Inline>,
}

/// How the right answer is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// What the last line of this script prints, run in a copy of the world at the moment of answering.
    Run(Script),
    /// Given by the author, for cases to decide: the text of a choice, or what to type.
    Is(String),
}

/// A block of prose.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Heading {
        level: u8,
        text: Vec<Inline>,
    },
    Paragraph(Vec<Inline>),
    /// `info` is the fence's whole info string, such as `redis`; `line` where the code begins in lesson.md.
    Code {
        info: String,
        text: String,
        line: usize,
    },
    /// `first`: the first number of an ordered list.
    List {
        first: Option<u64>,
        items: Vec<Vec<Block>>,
    },
    Table {
        head: Vec<Vec<Inline>>,
        rows: Vec<Vec<Vec<Inline>>>,
    },
    Quote {
        kind: Option<Alert>,
        blocks: Vec<Block>,
    },
    Rule,
    /// Here the exercise with this index is done.
    Exercise(usize),
}

/// `> [!NOTE]` and its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alert {
    Note,
    Tip,
    Important,
    Warning,
    Caution,
}

/// A run of text in one style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inline {
    pub text: String,
    pub strong: bool,
    pub emphasis: bool,
    pub code: bool,
    pub struck: bool,
    /// Where it leads, if it is a link.
    pub link: Option<String>,
}

impl Inline {
    pub fn plain(text: impl Into<String>) -> Inline {
        Inline { text: text.into(), ..Inline::default() }
    }
}

/// The words of a run of inlines, with backquotes around code, for plain lines.
pub fn plain_text(inlines: &[Inline]) -> String {
    let mut out = String::new();
    for inline in inlines {
        if inline.code {
            out.push('`');
            out.push_str(&inline.text);
            out.push('`');
        } else {
            out.push_str(&inline.text);
        }
    }
    out
}

impl Course {
    /// All lessons in order.
    pub fn lessons(&self) -> impl Iterator<Item = &Arc<Lesson>> {
        self.modules.iter().flat_map(|module| module.lessons.iter())
    }

    /// By id (`sessions.ttl`) or number (`1.2`).
    pub fn lesson(&self, name: &str) -> Option<&Arc<Lesson>> {
        self.lessons().find(|lesson| lesson.id == name || lesson.number == name)
    }

    /// The one after `id`, in the order of the course.
    pub fn after(&self, id: &str) -> Option<&Arc<Lesson>> {
        self.lessons().skip_while(|lesson| lesson.id != id).nth(1)
    }
}

/// The files of a course: path below its folder (with `/`), and contents.
pub type Files = Vec<(String, String)>;

impl Course {
    /// The course that comes with the program.
    pub fn bundled() -> Course {
        static LESSONS: include_dir::Dir = include_dir::include_dir!("$CARGO_MANIFEST_DIR/lessons");
        let mut files = Files::new();
        let mut folders = vec![&LESSONS];
        while let Some(folder) = folders.pop() {
            folders.extend(folder.dirs());
            files.extend(
                folder.files().filter_map(|file| {
                    Some((file.path().to_str()?.replace('\\', "/"), file.contents_utf8()?.to_owned()))
                }),
            );
        }
        Course::parse(&files).unwrap_or_else(|faults| {
            let all: Vec<String> =
                faults.iter().map(|fault| format!("{}:{}:{}: {fault}", fault.file, fault.line, fault.column)).collect();
            unreachable!("the tests prove the bundled course\n{}", all.join("\n"))
        })
    }

    /// Err: everything that is wrong, in the order of the files.
    pub fn parse(files: &Files) -> Result<Course, Vec<super::Fault>> {
        super::parse::course(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_course_is_read() {
        let course = Course::bundled();
        assert!(course.lessons().count() >= 3);
        let first = course.lessons().next().unwrap();
        assert_eq!(course.lesson("0.1").map(|lesson| &lesson.id), Some(&first.id));
        assert!(course.after(&first.id).is_some());
    }
}
