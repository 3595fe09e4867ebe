//! The YAML form of checks, before it means anything: a tree whose nodes are numbered, and a reader that turns nodes into
//! typed parameters and collects everything that is wrong with them.
//!
//! Nodes carry their number in document order (keys count too) instead of a line and column: the parser that made the tree
//! can find the place of any number again, and does so only when there is something to complain about.

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: u32,
    pub tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    /// Text, or a number or truth value as it is printed.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file; keys are scalars.
    Map(Vec<(Node, Node)>),
}

impl Node {
    pub fn what(&self) -> &'static str {
        match self.tree {
            Tree::Null => "nothing",
            Tree::Scalar(_) => "a plain value",
            Tree::List(_) => "a list",
            Tree::Map(_) => "a map",
        }
    }

    pub fn scalar(&self) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

/// One parameter of a kind, or one field of a part of a lesson: what parsing accepts and the reference prints.
pub struct Field {
    pub name: &'static str,
    /// What stands there: `TEXT`, `N or {between: [A, B]}`.
    pub form: &'static str,
    pub required: bool,
    pub about: &'static str,
}

/// A field that may be left out.
pub const fn field(name: &'static str, form: &'static str, about: &'static str) -> Field {
    Field { name, form, required: false, about }
}

/// A field that has to be there.
pub const fn needed(name: &'static str, form: &'static str, about: &'static str) -> Field {
    Field { name, form, required: true, about }
}

/// Something wrong at a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub at: u32,
    pub message: String,
    pub help: Option<String>,
}

/// Names that the rest of a lesson may refer to.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub instances: Vec<String>,
    pub terminals: Vec<String>,
    pub questions: Vec<String>,
}

/// Reads nodes as what they should be; a wrong one is noted and gives None, and reading goes on.
#[derive(Default)]
pub struct Reader {
    pub problems: Vec<Problem>,
    pub names: Names,
}

/// The fields of a map, all of which are known.
pub struct Fields<'n> {
    pub at: u32,
    found: Vec<(&'static str, &'n Node)>,
}

impl<'n> Fields<'n> {
    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.found.iter().find(|(known, _)| *known == name).map(|(_, node)| *node)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Reader {
    pub fn complain(&mut self, at: u32, message: impl Into<String>, help: impl Into<String>) {
        let help = help.into();
        let help = (!help.is_empty()).then_some(help);
        self.problems.push(Problem { at, message: message.into(), help });
    }

    fn wrong<T>(&mut self, node: &Node, expected: &str) -> Option<T> {
        let found = match &node.tree {
            Tree::Scalar(text) => format!("`{text}`"),
            _ => node.what().to_owned(),
        };
        self.complain(node.at, format!("expected {expected}, found {found}"), "");
        None
    }

    pub fn text(&mut self, node: &Node) -> Option<String> {
        match &node.tree {
            Tree::Scalar(text) => Some(text.clone()),
            _ => self.wrong(node, "text"),
        }
    }

    pub fn number<N: std::str::FromStr>(&mut self, node: &Node, expected: &str) -> Option<N> {
        match node.scalar().and_then(|text| text.parse().ok()) {
            Some(n) => Some(n),
            None => self.wrong(node, expected),
        }
    }

    pub fn flag(&mut self, node: &Node) -> Option<bool> {
        match node.scalar() {
            Some("true" | "yes") => Some(true),
            Some("false" | "no") => Some(false),
            _ => self.wrong(node, "true or false"),
        }
    }

    pub fn one_of<T: Copy>(&mut self, node: &Node, table: &[(&str, T)]) -> Option<T> {
        if let Some(text) = node.scalar()
            && let Some((_, value)) = table.iter().find(|(name, _)| *name == text)
        {
            return Some(*value);
        }
        let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
        self.wrong(node, &format!("one of {}", names.join(", ")))
    }

    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match &node.tree {
            Tree::List(items) => items,
            Tree::Null => &[],
            _ => {
                self.wrong::<()>(node, "a list");
                &[]
            }
        }
    }

    /// A list of texts; a single one may stand for itself.
    pub fn texts(&mut self, node: &Node) -> Vec<String> {
        match &node.tree {
            Tree::Scalar(text) => vec![text.clone()],
            _ => self.list(node).iter().filter_map(|item| self.text(item)).collect(),
        }
    }

    /// Name and text of each entry of a map, in order.
    pub fn pairs(&mut self, node: &Node) -> Vec<(String, String)> {
        self.entries(node).iter().filter_map(|(key, value)| Some((self.text(key)?, self.text(value)?))).collect()
    }

    /// The entries of a map with free keys; a key given twice is a problem.
    pub fn entries<'n>(&mut self, node: &'n Node) -> &'n [(Node, Node)] {
        match &node.tree {
            Tree::Map(entries) => {
                for (index, (key, _)) in entries.iter().enumerate() {
                    if entries[..index].iter().any(|(earlier, _)| earlier.tree == key.tree) {
                        self.complain(key.at, format!("`{}` stands here twice", key.scalar().unwrap_or("?")), "");
                    }
                }
                entries
            }
            Tree::Null => &[],
            _ => {
                self.wrong::<()>(node, "a map");
                &[]
            }
        }
    }

    /// The fields of a map whose keys are all in `known`. `what` names the map in messages: "an exercise".
    pub fn fields<'n>(&mut self, node: &'n Node, what: &str, known: &'static [Field]) -> Option<Fields<'n>> {
        if !matches!(node.tree, Tree::Map(_) | Tree::Null) {
            let names: Vec<&str> = known.iter().map(|field| field.name).collect();
            return self.wrong(node, &format!("{what}: a map with {}", names.join(", ")));
        }
        let mut found = Vec::new();
        for (key, value) in self.entries(node) {
            let name = key.scalar().unwrap_or("");
            match known.iter().find(|field| field.name == name) {
                Some(field) => found.push((field.name, value)),
                None => {
                    let help = spelled_like(name, known.iter().map(|field| field.name));
                    self.complain(key.at, format!("{what} has no `{name}`"), help);
                }
            }
        }
        for field in known.iter().filter(|field| field.required) {
            if !found.iter().any(|(name, _)| *name == field.name) {
                self.complain(
                    node.at,
                    format!("{what} needs `{}`", field.name),
                    format!("{}: {}", field.name, field.about),
                );
            }
        }
        Some(Fields { at: node.at, found })
    }

    /// `3`, `{between: [1, 5]}`, `{at_least: 1}`, `{at_most: 5}`.
    pub fn range(&mut self, node: &Node) -> Option<Range> {
        const FORM: &str = "a number, {between: [A, B]}, {at_least: N} or {at_most: N}";
        match &node.tree {
            Tree::Scalar(_) => self.number(node, FORM).map(|n| Range { min: n, max: n }),
            Tree::Map(entries) => match entries.as_slice() {
                [(key, value)] => match (key.scalar().unwrap_or(""), &value.tree) {
                    ("at_least" | "min", _) => Some(Range { min: self.number(value, "a number")?, max: i64::MAX }),
                    ("at_most" | "max", _) => Some(Range { min: i64::MIN, max: self.number(value, "a number")? }),
                    ("between", Tree::List(ends)) if ends.len() == 2 => {
                        let range =
                            Range { min: self.number(&ends[0], "a number")?, max: self.number(&ends[1], "a number")? };
                        if range.min > range.max {
                            self.complain(value.at, "the first number of `between` is the smaller one", "");
                        }
                        Some(range)
                    }
                    _ => self.wrong(node, FORM),
                },
                _ => self.wrong(node, FORM),
            },
            _ => self.wrong(node, FORM),
        }
    }

    /// The field `name`, which may be left out, as `read` reads it: Some(None) if it is, None if it is wrong.
    pub fn maybe<T>(
        &mut self,
        fields: &Fields,
        name: &str,
        read: impl FnOnce(&mut Reader, &Node) -> Option<T>,
    ) -> Option<Option<T>> {
        match fields.get(name) {
            Some(node) => read(self, node).map(Some),
            None => Some(None),
        }
    }

    /// A name that has to be in `names`.
    fn name_of(&mut self, node: &Node, what: &str, names: &[String]) -> Option<String> {
        let text = self.text(node)?;
        if !names.contains(&text) {
            let help = match names {
                [] => format!("this lesson has no {what}"),
                _ => spelled_like(&text, names.iter().map(String::as_str)),
            };
            self.complain(node.at, format!("there is no {what} `{text}`"), help);
            return None;
        }
        Some(text)
    }

    pub fn terminal(&mut self, node: &Node) -> Option<String> {
        let names = self.names.terminals.clone();
        self.name_of(node, "terminal", &names)
    }

    pub fn question(&mut self, node: &Node) -> Option<String> {
        let names = self.names.questions.clone();
        self.name_of(node, "question", &names)
    }

    pub fn instance(&mut self, node: &Node) -> Option<String> {
        let names = self.names.instances.clone();
        self.name_of(node, "instance", &names)
    }

    /// The number of a database in the field `name`; 0 if it is left out.
    pub fn db(&mut self, fields: &Fields, name: &str) -> Option<usize> {
        let read = |reader: &mut Reader, node: &Node| reader.number(node, "the number of a database");
        Some(self.maybe(fields, name, read)?.unwrap_or(0))
    }

    /// The instance named by field `on`, or the only one there is.
    pub fn on(&mut self, fields: &Fields) -> Option<String> {
        match fields.get("on") {
            Some(node) => self.instance(node),
            None => self.only_instance(fields.at),
        }
    }

    /// The instance that is meant where none is named, at node `at`.
    pub fn only_instance(&mut self, at: u32) -> Option<String> {
        match self.names.instances.as_slice() {
            [only] => Some(only.clone()),
            [] => {
                self.complain(at, "this lesson's world has no instance", "world: {instances: {redis: {port: 6379}}}");
                None
            }
            several => {
                let names = several.join(", ");
                self.complain(at, "say on which instance, there are several", format!("on: one of {names}"));
                None
            }
        }
    }
}

/// "did you mean", or the whole choice.
pub fn spelled_like<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .filter(|word| crate::base::words::distance(name, word) <= 2.min(word.len().saturating_sub(1)))
        .min_by_key(|word| crate::base::words::distance(name, word));
    match near {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("there is: {}", known.join(", ")),
    }
}

/// Whole numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: i64,
    pub max: i64,
}

impl Range {
    pub const AT_LEAST_ONE: Range = Range { min: 1, max: i64::MAX };

    pub fn holds(&self, n: i64) -> bool {
        (self.min..=self.max).contains(&n)
    }

    /// The numbers an author wrote.
    pub fn literals(&self) -> Vec<String> {
        let ends = [self.min, self.max];
        let mut out: Vec<String> =
            ends.iter().filter(|n| **n != i64::MIN && **n != i64::MAX).map(i64::to_string).collect();
        out.dedup();
        out
    }
}

/// `text` against a pattern with `*` (any run) and `?` (any one character); alternatives are parted by `|`.
pub fn like(pattern: &str, text: &str) -> bool {
    pattern.split('|').any(|each| like_one(each, text))
}

/// O(len * len) at worst.
fn like_one(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, eaten)) => {
                    star = Some((at, eaten + 1));
                    p = at + 1;
                    t = eaten + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, matches) in [
            ("session:*", "session:a1", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*ab", "aab", true),
            ("a", "ab", false),
            ("x|a*", "ab", true),
        ] {
            assert_eq!(like(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn an_unknown_field_names_its_neighbour() {
        const KNOWN: &[Field] = &[needed("name", "TEXT", "the key"), field("equals", "TEXT", "its value")];
        let scalar = |at, text: &str| Node { at, tree: Tree::Scalar(text.into()) };
        let node = Node { at: 0, tree: Tree::Map(vec![(scalar(1, "equal"), scalar(2, "x"))]) };
        let mut reader = Reader::default();
        reader.fields(&node, "`key`", KNOWN);
        assert_eq!(reader.problems[0].message, "`key` has no `equal`");
        assert_eq!(reader.problems[0].help.as_deref(), Some("did you mean `equals`?"));
        assert_eq!((reader.problems[1].at, reader.problems[1].message.as_str()), (0, "`key` needs `name`"));
    }
}
