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

#[derive(Subcommand, Debug)]
pub enum Command {
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
