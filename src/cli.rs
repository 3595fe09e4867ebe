//! The command line: clap definitions and nothing else. `main` acts on them.

use crate::repl;
use crate::resp::render::Form;
use clap::{Parser, Subcommand};

/// An interactive terminal learning lab for Redis.
#[derive(Parser, Debug)]
#[command(name = "redlab", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// Without a command: the lab, where you were.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// `redlab learn [LESSON]`.
#[derive(clap::Args, Debug, Default)]
pub struct Learn {
    /// A lesson's number or id: 1.2, sessions.ttl. Without one: where you were
    pub lesson: Option<String>,
    /// Plain lines instead of a screen: for screen readers and pipes (chosen by itself where stdout is no terminal)
    #[arg(long)]
    pub plain: bool,
    /// Colours: dark, light, high-contrast, mono. Without it: what the terminal says of itself; NO_COLOR means mono
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Draw with ASCII only
    #[arg(long)]
    pub ascii: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The lab: lessons, terminals, a world of your own
    Learn(Learn),
    /// About a command of Redis: what it is for, what it costs, an example, the lessons that teach it
    Help {
        /// GET, config set, @string; without one: all groups
        words: Vec<String>,
    },
    /// Prove a course: every exercise is done in every way its author wrote down
    Check(Check),
    /// Start a course: a folder with one small lesson that passes `check`
    New {
        /// A folder that is not there yet, or empty
        folder: std::path::PathBuf,
    },
    /// What you have done: list it, take it to another machine, begin anew
    Progress {
        #[command(subcommand)]
        action: Option<Progress>,
    },
    /// Serve the engine on a loopback port, for any Redis client
    Serve(Serve),
    /// A sandbox prompt; with -h, -p or -u a client of a real server, like redis-cli
    Repl(Repl),
}

/// `redlab serve [FILE ...] [--port N] [--directive value ...] [--nodes N] [--cluster 3x1]`: the arguments of redis-server,
/// and two of our own.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Serve {
    /// A redis.conf (several: a server for each), then directives: --port 6400 --dir /tmp/data --appendonly yes. Several
    /// servers on following ports: --nodes 8; a whole cluster, primaries x replicas of each: --cluster 3x1
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

/// The options are redis-cli's, by name and meaning.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Repl {
    /// Server host name
    #[arg(short = 'h', value_name = "HOST")]
    pub host: Option<String>,
    /// Server port
    #[arg(short = 'p', value_name = "PORT")]
    pub port: Option<u16>,
    /// Server, as redis://[user:password@]host[:port][/db]
    #[arg(short = 'u', value_name = "URI")]
    pub uri: Option<String>,
    /// Database number
    #[arg(short = 'n', value_name = "DB")]
    pub db: Option<u32>,
    /// User name for AUTH
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Password (or in REDISCLI_AUTH, where `ps` does not show it)
    #[arg(short = 'a', long = "pass", value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Speak RESP2
    #[arg(short = '2')]
    pub resp2: bool,
    /// Speak RESP3
    #[arg(short = '3', conflicts_with = "resp2")]
    pub resp3: bool,
    /// Follow a cluster's redirections
    #[arg(short = 'c')]
    pub cluster: bool,
    /// Print replies raw (what happens anyway when the output is no terminal)
    #[arg(long, group = "form")]
    pub raw: bool,
    /// Print replies for people, also when the output is no terminal
    #[arg(long, group = "form")]
    pub no_raw: bool,
    #[arg(long, group = "form", help = "Print replies as CSV")]
    pub csv: bool,
    #[arg(long, group = "form", help = "Print replies as JSON, speaking RESP3")]
    pub json: bool,
    #[arg(long, group = "form", help = "Print replies as JSON with escaped bytes, speaking RESP3")]
    pub quoted_json: bool,
    /// Run the command N times
    #[arg(short = 'r', value_name = "N")]
    pub repeat: Option<u64>,
    /// Seconds between two times
    #[arg(short = 'i', value_name = "SECONDS")]
    pub interval: Option<f64>,
    /// Make the exit code 1 if a command fails
    #[arg(short = 'e')]
    pub exit_on_error: bool,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// A command to run instead of a prompt
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl From<Repl> for repl::Options {
    fn from(given: Repl) -> repl::Options {
        let forms = [
            (given.raw, Form::Raw),
            (given.no_raw, Form::Tty),
            (given.csv, Form::Csv),
            (given.json, Form::Json),
            (given.quoted_json, Form::QuotedJson),
        ];
        let named = given.uri.as_ref().is_some_and(|uri| uri.contains('@'));
        let from_environment = || std::env::var("REDISCLI_AUTH").ok().filter(|password| !password.is_empty());
        repl::Options {
            host: given.host,
            port: given.port,
            db: given.db,
            user: given.user,
            uri: given.uri,
            password_shown: given.password.is_some() || named,
            password: given.password.or_else(|| if named { None } else { from_environment() }),
            protocol: if given.resp3 { Some(3) } else { given.resp2.then_some(2) },
            cluster: given.cluster,
            form: forms.into_iter().find(|(asked, _)| *asked).map(|(_, form)| form),
            repeat: given.repeat,
            interval: given.interval,
            exit_on_error: given.exit_on_error,
            command: given.command,
        }
    }
}

/// `redlab check [COURSE]`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// A course's folder. Without one: the course that comes with the program
    pub course: Option<std::path::PathBuf>,
    /// Only this lesson, by number or id
    #[arg(long, value_name = "LESSON")]
    pub lesson: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    pub format: crate::author::Format,
    /// Print what can stand in a course's files, and stop
    #[arg(long)]
    pub reference: bool,
}

/// `redlab progress [ACTION]`; without one it lists.
#[derive(Subcommand, Debug)]
pub enum Progress {
    /// Which exercises are solved, lesson by lesson
    List,
    /// Write all of it to a file
    Export { file: std::path::PathBuf },
    /// Add what such a file says
    Import { file: std::path::PathBuf },
    /// Forget a lesson (by number or id), or all of them
    Reset {
        lesson: Option<String>,
        /// Needed to forget everything
        #[arg(long)]
        all: bool,
    },
}
