//! The command line: clap definitions and nothing else. `main` acts on them.

use clap::{Parser, Subcommand};

/// An interactive terminal learning lab for Redis.
#[derive(Parser, Debug)]
#[command(name = "redlab", version, about, max_term_width = 100)]
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
    /// Serve the engine on a loopback port, for any Redis client
    Serve(Serve),
}

/// `redlab serve [FILE] [--port N] [--directive value ...]`: the arguments of redis-server.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Serve {
    /// A redis.conf, then directives: --port 6400 --dir /tmp/data --appendonly yes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<String>,
}
