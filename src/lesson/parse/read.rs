//! lab.yaml: the world and the exercises.

use crate::base::Millis;
use crate::check::form::{Field, Fields, Node, Reader, Tree, field, needed};
use crate::check::future::{Actors, script};
use crate::check::{Script, table};
use crate::lesson::{
    Choice, Cluster, Cron, Exercise, Goal, Instance, Opens, Question, Sql, Terminal, Truth, When, World, Wrong, prose,
};

pub const LESSON: &[Field] = &[
    needed("id", "WORD.WORD", "progress is kept by it: never change it"),
    field("needs", "[CONCEPT]", "taught by earlier lessons and used here"),
    field("teaches", "[CONCEPT]", "taught here for the first time"),
    needed("world", "WORLD", "what the lesson starts with"),
    needed("exercises", "[EXERCISE]", "in order"),
];

pub const WORLD: &[Field] = &[
    field("clock", "\"YYYY-MM-DDTHH:MM:SSZ\"", "what the lab's clock shows (2030-01-01T09:00:00Z)"),
    field("seed", "N", "decides every draw of chance (1)"),
    field("instances", "{NAME: INSTANCE}", "redis-servers; needed, unless there is a `cluster`"),
    field(
        "cluster",
        "CLUSTER",
        "nodes of a cluster that is formed and up, called n1, n2 and so on; instances come after them",
    ),
    needed("terminals", "{NAME: INSTANCE | shell | sql}", "where each terminal stands at first"),
    field("files", "{PATH: TEXT}", "further files"),
    field("sql", "SQL", "an SQL database"),
    field("setup", "SCRIPT", "done before the learner arrives"),
];

pub const INSTANCE: &[Field] = &[
    needed("port", "N", "where it listens"),
    field("config", "{PARAMETER: VALUE}", "lines of its config file"),
    field("conf", "TEXT", "its config file as a text, instead of `config`"),
    field("file", "PATH", "the name of that file (NAME.conf)"),
    field("started", "true | false", "whether it runs at the start (true)"),
];

pub const CLUSTER: &[Field] = &[
    needed("primaries", "N", "so many share the slots evenly: the first nodes"),
    field("replicas", "N", "so many follow each primary (0): the nodes after the primaries, in turn"),
    field("port", "N", "where the first node listens, the others behind it (7001)"),
    field("config", "{PARAMETER: VALUE}", "further lines of every node's config file"),
];

pub const SQL: &[Field] = &[
    needed("schema", "[STATEMENT]", "run once"),
    field("cron", "[{every: SECONDS, run: STATEMENT}]", "jobs that run again and again"),
];

const CRON: &[Field] = &[needed("every", "SECONDS", "how often"), needed("run", "STATEMENT", "what runs")];

pub const EXERCISE: &[Field] = &[
    needed("id", "WORD", "its name in lesson.md and in progress files"),
    needed("title", "TEXT", "a few words"),
    field("task", "TEXT", "what to do, in a sentence or two"),
    field("setup", "SCRIPT", "done when the exercise begins, so that it can be done when earlier ones were skipped"),
    field("predict", "QUESTION or [QUESTION]", "asked before the learner tries"),
    needed("goals", "[GOAL]", "all have to be met"),
    needed("wrong", "[WRONG]", "known wrong attempts, the first that applies is told"),
    needed("hints", "[TEXT]", "at least two, from vague to plain"),
    needed("solutions", "[SCRIPT]", "at least one"),
];

pub const QUESTION: &[Field] = &[
    field("id", "WORD", "needed if there are several"),
    needed("ask", "TEXT", "the question"),
    field("choices", "[TEXT or {TEXT: WHAT TO SAY}]", "answers to choose from; without it the answer is free text"),
    field("right", "N or TEXT", "the right choice, from 1, or the right text"),
    field(
        "run",
        "SCRIPT",
        "instead of `right`: run in a copy of the world, what the last line prints is the right answer",
    ),
];

pub const GOAL: &[Field] = &[
    needed("say", "TEXT", "what the learner reads"),
    field("when", "now | latched | always", "now: at this moment; latched: once is enough; always: never broken"),
    field("CHECK", "...", "one or more kinds of check, see below"),
];

pub const WRONG: &[Field] = &[
    needed("when", "CHECK", "how it is known"),
    needed("try", "SCRIPT", "lines that lead there, for the proof"),
    needed("say", "TEXT", "what to tell the learner"),
];

/// What lab.yaml says.
pub struct Lab {
    pub id: String,
    pub needs: Vec<String>,
    pub teaches: Vec<String>,
    pub world: World,
    pub exercises: Vec<Exercise>,
}

/// None only if it is no map at all; anything less is noted in `reader`.
pub fn lesson(tree: &Node, reader: &mut Reader) -> Option<Lab> {
    let fields = reader.fields(tree, "lab.yaml", LESSON)?;
    let id = text(&fields, "id", reader);
    if !id.is_empty() && !id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        reader.complain(fields.get("id").expect("it has text").at, "an id is made of letters, digits, - and .", "");
    }
    let needs = fields.get("needs").map(|node| reader.texts(node)).unwrap_or_default();
    let teaches = fields.get("teaches").map(|node| reader.texts(node)).unwrap_or_default();
    let world = world(fields.get("world")?, reader)?;
    let nodes = fields.get("exercises").map(|node| reader.list(node)).unwrap_or_default();
    if nodes.is_empty() {
        reader.complain(tree.at, "a lesson needs at least one exercise", "");
    }
    let mut exercises: Vec<Exercise> = Vec::new();
    for node in nodes {
        if let Some(exercise) = exercise(node, reader) {
            if exercises.iter().any(|each| each.id == exercise.id) {
                reader.complain(node.at, format!("there are two exercises `{}`", exercise.id), "");
            }
            exercises.push(exercise);
        }
    }
    Some(Lab { id, needs, teaches, world, exercises })
}

fn text(fields: &Fields, name: &str, reader: &mut Reader) -> String {
    fields.get(name).and_then(|node| reader.text(node)).unwrap_or_default()
}

/// Sets the reader's names on the way, so that everything behind it can refer to them.
fn world(node: &Node, reader: &mut Reader) -> Option<World> {
    let fields = reader.fields(node, "`world`", WORLD)?;
    let clock = match fields.get("clock") {
        Some(node) => {
            let written = reader.text(node)?;
            match written.parse::<jiff::Timestamp>() {
                Ok(stamp) => Millis(stamp.as_millisecond().max(0) as u64),
                Err(_) => {
                    reader.complain(
                        node.at,
                        format!("`{written}` is no moment"),
                        "for example \"2030-01-01T09:00:00Z\"",
                    );
                    Millis::ZERO
                }
            }
        }
        None => Millis(1_893_488_400_000),
    };
    let seed = fields.get("seed").map_or(Some(1), |node| reader.number(node, "a whole number")).unwrap_or(1);
    let mut instances: Vec<Instance> = Vec::new();
    let formed = fields.get("cluster").and_then(|node| cluster(node, &mut instances, reader));
    reader.names.instances.extend(instances.iter().map(|each| each.name.clone()));
    if !fields.has("instances") && !fields.has("cluster") {
        reader.complain(node.at, "`world` needs `instances` or a `cluster`", "");
    }
    if let Some(node) = fields.get("instances") {
        for (key, value) in reader.entries(node) {
            let name = key.scalar().unwrap_or("").to_owned();
            if ["shell", "sql", "wait"].contains(&name.as_str()) {
                reader.complain(key.at, format!("`{name}` has a meaning of its own; call the instance otherwise"), "");
            }
            reader.names.instances.push(name.clone());
            if let Some(instance) = instance(name, value, reader) {
                if instances.iter().any(|each| each.port == instance.port) {
                    reader.complain(value.at, format!("two instances listen on port {}", instance.port), "");
                }
                instances.push(instance);
            }
        }
    }
    let mut terminals = Vec::new();
    if let Some(node) = fields.get("terminals") {
        for (key, value) in reader.entries(node) {
            let name = key.scalar().unwrap_or("").to_owned();
            if name == "lesson" {
                reader.complain(
                    key.at,
                    "`lesson` is what the lab calls its own terminals; call this one otherwise",
                    "",
                );
            }
            reader.names.terminals.push(name.clone());
            let opens = match value.scalar() {
                Some("shell") => Some(Opens::Shell),
                Some("sql") if fields.has("sql") => Some(Opens::Sql),
                Some("sql") => {
                    reader.complain(value.at, "this world has no `sql`", "");
                    None
                }
                _ => reader.instance(value).map(Opens::Redis),
            };
            terminals.extend(opens.map(|opens| Terminal { name, opens }));
        }
        if terminals.is_empty() {
            reader.complain(node.at, "a lesson needs at least one terminal", "{NAME: INSTANCE | shell | sql}");
        }
    }
    let files = fields.get("files").map(|node| reader.pairs(node)).unwrap_or_default();
    let sql = fields.get("sql").and_then(|node| sql(node, reader));
    let setup = fields.get("setup").and_then(|node| script(node, reader, Actors::Machine)).unwrap_or_default();
    Some(World { clock, seed, instances, cluster: formed, terminals, files, sql, setup })
}

/// Adds the nodes to `instances`.
fn cluster(node: &Node, instances: &mut Vec<Instance>, reader: &mut Reader) -> Option<Cluster> {
    let fields = reader.fields(node, "a cluster", CLUSTER)?;
    let primaries: usize = reader.number(fields.get("primaries")?, "a whole number")?;
    let replicas = fields.get("replicas").map_or(Some(0), |node| reader.number(node, "a whole number"))?;
    let first: u16 = fields.get("port").map_or(Some(7001), |node| reader.number(node, "a port, 1 to 55535"))?;
    let nodes = primaries.saturating_mul(1 + replicas);
    if !(1..=1000).contains(&nodes) || first as usize + nodes > 55_535 {
        reader.complain(node.at, "a cluster has 1 to 1000 nodes, and ports below 55536 for them", "");
        return None;
    }
    let more = fields.get("config").map(|node| reader.pairs(node)).unwrap_or_default();
    for index in 0..nodes {
        let (name, port) = (format!("n{}", index + 1), first + index as u16);
        let mut conf = format!("port {port}\ncluster-enabled yes\ndir {name}\n");
        if !more.iter().any(|(name, _)| name == "save") {
            conf.push_str("save \"\"\n");
        }
        more.iter().for_each(|(name, value)| conf.push_str(&setting(name, value)));
        instances.push(Instance { file: format!("{name}.conf"), name, port, conf, started: true });
    }
    Some(Cluster { nodes, primaries })
}

/// A line of a config file.
fn setting(name: &str, value: &str) -> String {
    format!("{name} {}\n", if value.is_empty() { "\"\"" } else { value })
}

fn instance(name: String, node: &Node, reader: &mut Reader) -> Option<Instance> {
    let fields = reader.fields(node, "an instance", INSTANCE)?;
    let port = reader.number::<std::num::NonZeroU16>(fields.get("port")?, "a port, 1 to 65535")?.get();
    let file = fields.get("file").map_or(Some(format!("{name}.conf")), |node| reader.text(node))?;
    let started = fields.get("started").map_or(Some(true), |node| reader.flag(node))?;
    let conf = match (fields.get("conf"), fields.get("config")) {
        (Some(node), None) => reader.text(node)?,
        (Some(node), Some(_)) => {
            reader.complain(node.at, "`conf` and `config` say the same thing twice", "use one of them");
            String::new()
        }
        (None, config) => {
            let mut conf = format!("port {port}\n");
            for (name, value) in config.map(|node| reader.pairs(node)).unwrap_or_default() {
                conf.push_str(&setting(&name, &value));
            }
            conf
        }
    };
    Some(Instance { name, port, file, conf, started })
}

fn sql(node: &Node, reader: &mut Reader) -> Option<Sql> {
    let fields = reader.fields(node, "`sql`", SQL)?;
    let schema = fields.get("schema").map(|node| reader.texts(node)).unwrap_or_default();
    let mut cron = Vec::new();
    if let Some(node) = fields.get("cron") {
        let jobs: Vec<&Node> = match &node.tree {
            Tree::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        for job in jobs {
            let fields = reader.fields(job, "a cron job", CRON)?;
            let every: u64 = reader.number(fields.get("every")?, "seconds")?;
            if every == 0 {
                reader.complain(job.at, "a job cannot run every 0 seconds", "");
            }
            cron.push(Cron { every: Millis::from_secs(every.max(1)), run: reader.text(fields.get("run")?)? });
        }
    }
    Some(Sql { schema, cron })
}

fn exercise(node: &Node, reader: &mut Reader) -> Option<Exercise> {
    let fields = reader.fields(node, "an exercise", EXERCISE)?;
    let id = text(&fields, "id", reader);
    let title = text(&fields, "title", reader);
    let task = prose::inlines(&text(&fields, "task", reader));
    let setup = fields.get("setup").and_then(|node| script(node, reader, Actors::Machine)).unwrap_or_default();
    let mut questions = Vec::new();
    if let Some(node) = fields.get("predict") {
        let nodes: Vec<&Node> = match &node.tree {
            Tree::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let several = nodes.len() > 1;
        for node in nodes {
            questions.extend(question(node, several, reader));
        }
    }
    reader.names.questions = questions.iter().map(|question: &Question| question.id.clone()).collect();
    let goal_nodes = fields.get("goals").map(|node| reader.list(node)).unwrap_or_default();
    let goals: Vec<Goal> = goal_nodes.iter().filter_map(|node| goal(node, reader)).collect();
    let wrong_nodes = fields.get("wrong").map(|node| reader.list(node)).unwrap_or_default();
    let wrong: Vec<Wrong> = wrong_nodes.iter().filter_map(|node| wrong(node, reader)).collect();
    let hints = fields.get("hints").map(|node| reader.texts(node)).unwrap_or_default();
    if let Some(node) = fields.get("hints")
        && hints.len() < 2
    {
        reader.complain(
            node.at,
            "an exercise needs at least two hints",
            "the first says where to look, the last says what to type",
        );
    }
    if let Some(node) = fields.get("goals")
        && goal_nodes.is_empty()
    {
        reader.complain(node.at, "an exercise needs at least one goal", "");
    }
    if let Some(node) = fields.get("wrong")
        && wrong_nodes.is_empty()
    {
        reader.complain(node.at, "an exercise needs at least one known wrong attempt", "what do people type first?");
    }
    let mut solutions: Vec<Script> = Vec::new();
    if let Some(node) = fields.get("solutions") {
        for item in reader.list(node) {
            solutions.extend(script(item, reader, Actors::Terminals));
        }
        if solutions.is_empty() {
            reader.complain(node.at, "an exercise needs at least one solution", "");
        }
    }
    Some(Exercise { id, title, task, setup, questions, goals, wrong, hints, solutions, at: node.at })
}

fn goal(node: &Node, reader: &mut Reader) -> Option<Goal> {
    const WHEN: &[(&str, When)] = &[("now", When::Now), ("latched", When::Latched), ("always", When::Always)];
    let Tree::Map(entries) = &node.tree else {
        reader.complain(node.at, "expected a goal: `say` and a check", "");
        return None;
    };
    reader.entries(node);
    let entry = |name: &str| entries.iter().find(|(key, _)| key.scalar() == Some(name)).map(|(_, value)| value);
    let say = match entry("say") {
        Some(say) => reader.text(say)?,
        None => {
            reader.complain(node.at, "a goal needs `say`", GOAL[0].about);
            return None;
        }
    };
    let when = entry("when").map_or(Some(When::Now), |node| reader.one_of(node, WHEN))?;
    let rest: Vec<&(Node, Node)> =
        entries.iter().filter(|(key, _)| !matches!(key.scalar(), Some("say" | "when"))).collect();
    let check = table::read_entries(node.at, &rest, reader)?;
    Some(Goal { say: prose::inlines(&say), check, when, at: node.at })
}

fn wrong(node: &Node, reader: &mut Reader) -> Option<Wrong> {
    let fields = reader.fields(node, "a wrong attempt", WRONG)?;
    let when = fields.get("when").and_then(|node| table::read(node, reader));
    let attempt = fields.get("try").and_then(|node| script(node, reader, Actors::Terminals));
    let say = fields.get("say").and_then(|node| reader.text(node));
    Some(Wrong { when: when?, attempt: attempt?, say: prose::inlines(&say?), at: node.at })
}

fn question(node: &Node, several: bool, reader: &mut Reader) -> Option<Question> {
    let fields = reader.fields(node, "a question", QUESTION)?;
    let id = match fields.get("id") {
        Some(node) => reader.text(node)?,
        None if several => {
            reader.complain(node.at, "several questions need an `id` each", "");
            return None;
        }
        None => "question".into(),
    };
    let mut choices = Vec::new();
    if let Some(node) = fields.get("choices") {
        for item in reader.list(node) {
            choices.push(match &item.tree {
                Tree::Map(entries) if entries.len() == 1 => {
                    Choice { text: reader.text(&entries[0].0)?, say: prose::inlines(&reader.text(&entries[0].1)?) }
                }
                _ => Choice { text: reader.text(item)?, say: Vec::new() },
            });
        }
        if choices.len() == 1 {
            reader.complain(node.at, "one choice is no choice", "");
        }
    }
    let truth = match (fields.get("right"), fields.get("run")) {
        (None, Some(node)) => Truth::Run(script(node, reader, Actors::Machine)?),
        (Some(node), None) => {
            let right = reader.text(node)?;
            match (choices.is_empty(), right.parse::<usize>()) {
                (true, _) => Truth::Is(right),
                (false, Ok(n)) if (1..=choices.len()).contains(&n) => Truth::Is(choices[n - 1].text.clone()),
                (false, _) if choices.iter().any(|choice| choice.text == right) => Truth::Is(right),
                (false, _) => {
                    reader.complain(
                        node.at,
                        format!("there is no choice {right}"),
                        format!("a number from 1 to {}", choices.len()),
                    );
                    return None;
                }
            }
        }
        _ => {
            reader.complain(
                node.at,
                "a question needs `right` or `run`",
                "one of them: the answer, or how it is found",
            );
            return None;
        }
    };
    let ask = prose::inlines(&reader.text(fields.get("ask")?)?);
    Some(Question { id, ask, choices, truth, at: node.at })
}
