//! MODULE: there are none, and none can be loaded.

use crate::engine::command::{ADMIN, Command, LOADING, NO_ASYNC_LOADING, NOSCRIPT, Outcome, PROTECTED, STALE};
use crate::engine::refusal::Refusal;
use crate::engine::{Call, commands};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[Command {
    name: "MODULE",
    summary: "Look at modules.",
    since: "4.0.0",
    complexity: "Depends on the subcommand.",
    sub: &[
        Command {
            name: "MODULE HELP",
            summary: "List the subcommands.",
            since: "5.0.0",
            flags: LOADING.with(STALE),
            run: help,
            ..Command::SERVER
        },
        Command {
            name: "MODULE LIST",
            summary: "List the loaded modules.",
            since: "4.0.0",
            complexity: "O(N)",
            flags: ADMIN.with(NOSCRIPT),
            tips: &["nondeterministic_output_order"],
            run: list,
            ..Command::SERVER
        },
        Command {
            name: "MODULE LOAD",
            syntax: "path [arg [arg ...]]",
            summary: "Load a module.",
            since: "4.0.0",
            flags: NO_ASYNC_LOADING.with(ADMIN).with(NOSCRIPT).with(PROTECTED),
            run: load,
            ..Command::SERVER
        },
        Command {
            name: "MODULE LOADEX",
            syntax: "path [CONFIG configs=(name value) [CONFIG name value ...]] [ARGS args [args ...]]",
            summary: "Load a module with options.",
            since: "7.0.0",
            flags: NO_ASYNC_LOADING.with(ADMIN).with(NOSCRIPT).with(PROTECTED),
            run: load,
            ..Command::SERVER
        },
        Command {
            name: "MODULE UNLOAD",
            syntax: "name",
            summary: "Unload a module.",
            since: "4.0.0",
            flags: NO_ASYNC_LOADING.with(ADMIN).with(NOSCRIPT).with(PROTECTED),
            run: unload,
            ..Command::SERVER
        },
    ],
    ..Command::SERVER
}];

fn list(_: &mut Call) -> Outcome {
    Ok(Reply::Array(Vec::new()))
}

/// Even where `enable-module-command` allows it: what modules are written against is not here.
fn load(_: &mut Call) -> Outcome {
    Err(Refusal::new("ERR Error loading the extension. Please check the server logs."))
}

fn unload(_: &mut Call) -> Outcome {
    Err(Refusal::new("ERR Error unloading module: no such module with that name"))
}

fn help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "MODULE",
        &[
            "LIST",
            "    Return a list of loaded modules.",
            "LOAD <path> [<arg> ...]",
            "    Load a module library from <path>, passing to it any optional arguments.",
            "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
            "    Load a module library from <path>, while passing it module configurations and optional arguments.",
            "UNLOAD <name>",
            "    Unload a module.",
        ],
    ))
}
