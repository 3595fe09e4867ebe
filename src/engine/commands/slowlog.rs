//! SLOWLOG and LATENCY: what took long.

use crate::base::{Bytes, Millis};
use crate::engine::command::{ADMIN, Command, LOADING, NOSCRIPT, Outcome, STALE};
use crate::engine::refusal::Refusal;
use crate::engine::slowlog::{Event, Latency};
use crate::engine::stats::Histogram;
use crate::engine::{Call, commands};
use crate::resp::Reply;

pub const COMMANDS: &[Command] = &[
    Command {
        name: "SLOWLOG",
        summary: "Look at commands that took long.",
        since: "2.2.12",
        complexity: "Depends on the subcommand.",
        sub: &[
            Command {
                name: "SLOWLOG GET",
                syntax: "[count]",
                summary: "Read the newest entries of the slow log.",
                since: "2.2.12",
                complexity: "O(N)",
                history: &[("4.0.0", "Address and name of the client.")],
                flags: ADMIN.with(LOADING).with(STALE),
                tips: &["request_policy:all_nodes", "nondeterministic_output"],
                run: get,
                ..Command::SERVER
            },
            Command {
                name: "SLOWLOG HELP",
                summary: "List the subcommands.",
                since: "6.2.0",
                flags: LOADING.with(STALE),
                run: slowlog_help,
                ..Command::SERVER
            },
            Command {
                name: "SLOWLOG LEN",
                summary: "Count the entries of the slow log.",
                since: "2.2.12",
                flags: ADMIN.with(LOADING).with(STALE),
                tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
                run: len,
                ..Command::SERVER
            },
            Command {
                name: "SLOWLOG RESET",
                summary: "Empty the slow log.",
                since: "2.2.12",
                complexity: "O(N)",
                flags: ADMIN.with(LOADING).with(STALE),
                tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
                run: slowlog_reset,
                ..Command::SERVER
            },
        ],
        ..Command::SERVER
    },
    Command {
        name: "LATENCY",
        summary: "Look at what made the server slow.",
        since: "2.8.13",
        complexity: "Depends on the subcommand.",
        sub: &[
            Command {
                name: "LATENCY DOCTOR",
                summary: "Read advice on latency.",
                since: "2.8.13",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: doctor,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY GRAPH",
                syntax: "event",
                summary: "Draw the samples of an event.",
                since: "2.8.13",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: graph,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY HELP",
                summary: "List the subcommands.",
                since: "2.8.13",
                flags: LOADING.with(STALE),
                run: latency_help,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY HISTOGRAM",
                syntax: "[command [command ...]]",
                summary: "Read how the durations of commands are spread.",
                since: "7.0.0",
                complexity: "O(N)",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: histogram,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY HISTORY",
                syntax: "event",
                summary: "Read the samples of an event.",
                since: "2.8.13",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: history,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY LATEST",
                summary: "Read the latest sample of every event.",
                since: "2.8.13",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
                run: latest,
                ..Command::SERVER
            },
            Command {
                name: "LATENCY RESET",
                syntax: "[event [event ...]]",
                summary: "Forget the samples of events.",
                since: "2.8.13",
                flags: ADMIN.with(NOSCRIPT).with(LOADING).with(STALE),
                tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
                run: latency_reset,
                ..Command::SERVER
            },
        ],
        ..Command::SERVER
    },
];

fn get(call: &mut Call) -> Outcome {
    let count = match call.args.len() {
        2 => 10,
        3 => {
            let count = call.int(2).ok().filter(|count| *count >= -1);
            count.ok_or(Refusal::new("ERR count should be greater than or equal to -1"))?
        }
        _ => return Err(commands::wrong_subcommand(call)),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let entries = call.server.slowlog.entries.iter().take(count).map(|slow| {
        Reply::Array(vec![
            Reply::Int(slow.id as i64),
            Reply::Int(slow.at.secs() as i64),
            Reply::Int(slow.micros as i64),
            Reply::bulks(slow.args.iter().cloned()),
            Reply::bulk(slow.addr.as_str()),
            Reply::Bulk(slow.name.clone()),
        ])
    });
    Ok(Reply::Array(entries.collect()))
}

fn len(call: &mut Call) -> Outcome {
    Ok(Reply::from(call.server.slowlog.entries.len()))
}

fn slowlog_reset(call: &mut Call) -> Outcome {
    call.server.slowlog.entries.clear();
    Ok(Reply::OK)
}

fn event<'a>(latency: &'a Latency, name: &Bytes) -> Option<(&'static str, &'a Event)> {
    latency.events.iter().find(|(known, _)| name == **known).map(|(name, event)| (*name, event))
}

fn history(call: &mut Call) -> Outcome {
    let samples = event(&call.server.latency, &call.args[2]).into_iter().flat_map(|(_, event)| &event.samples);
    let pairs = samples.map(|(at, ms)| Reply::Array(vec![Reply::Int(*at as i64), Reply::Int(*ms as i64)]));
    Ok(Reply::Array(pairs.collect()))
}

fn latest(call: &mut Call) -> Outcome {
    let events = call.server.latency.events.iter().filter_map(|(name, event)| {
        let (at, ms) = event.samples.back()?;
        let numbers = [*at, *ms, event.max_ms].map(|number| Reply::Int(number as i64));
        Some(Reply::Array(std::iter::once(Reply::bulk(*name)).chain(numbers).collect()))
    });
    Ok(Reply::Array(events.collect()))
}

fn latency_reset(call: &mut Call) -> Outcome {
    let before = call.server.latency.events.len();
    let names = &call.args[2..];
    call.server.latency.events.retain(|name, _| !names.is_empty() && !names.iter().any(|given| given == *name));
    Ok(Reply::from(before - call.server.latency.events.len()))
}

fn graph(call: &mut Call) -> Outcome {
    let Some((name, event)) = event(&call.server.latency, &call.args[2]) else {
        let name = call.args[2].printed();
        return Err(Refusal::from(format!("ERR No samples available for event '{name}'")));
    };
    let (low, high) = event.samples.iter().fold((u64::MAX, 0), |(low, high), (_, ms)| (low.min(*ms), high.max(*ms)));
    let mut text = format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", event.max_ms);
    text.push_str(&"-".repeat(80));
    text.push('\n');
    text.push_str(&sparkline(event, low, high, call.now));
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

/// How long ago: the largest unit that fits.
fn ago(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m", secs / 60),
        3600..86400 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86400),
    }
}

/// Four rows of characters, filled below the curve, and under each column how long ago its sample was.
fn sparkline(event: &Event, low: u64, high: u64, now: Millis) -> String {
    const ROWS: usize = 4;
    const CHARS: [char; 3] = ['_', '-', '`'];
    let steps = CHARS.len() * ROWS;
    let span = (high - low).max(1) as f64;
    let heights: Vec<usize> = event
        .samples
        .iter()
        .map(|(_, ms)| ((ms - low) as f64 * steps as f64 / span) as usize)
        .map(|height| height.min(steps - 1))
        .collect();
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        for height in &heights {
            let bottom = row * CHARS.len();
            text.push(match height.checked_sub(bottom) {
                Some(over) if over < CHARS.len() => CHARS[over],
                Some(_) => '|',
                None => ' ',
            });
        }
        text.push('\n');
    }
    let labels: Vec<String> = event.samples.iter().map(|(at, _)| ago(now.secs().saturating_sub(*at))).collect();
    for row in 0..labels.iter().map(String::len).max().unwrap_or(0) {
        text.extend(labels.iter().map(|label| label.chars().nth(row).unwrap_or(' ')));
        text.push('\n');
    }
    text
}

fn doctor(call: &mut Call) -> Outcome {
    let text = if call.server.config.int("latency-monitor-threshold") == 0 {
        String::from(
            "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n",
        )
    } else if call.server.latency.events.is_empty() {
        String::from(
            "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n",
        )
    } else {
        let mut text = String::from("Dave, I have observed latency spikes in this Redis instance.");
        for (number, (name, event)) in call.server.latency.events.iter().enumerate() {
            let count = event.samples.len();
            let average = event.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count as u64;
            text.push_str(&format!(
                "\n\n{}. {name}: {count} latency spikes (average {average}ms). Worst all time event {}ms.",
                number + 1,
                event.max_ms
            ));
        }
        text.push('\n');
        text
    };
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

fn histogram(call: &mut Call) -> Outcome {
    let mut wanted = Vec::new();
    for name in &call.args[2..] {
        let name = name.to_ascii_uppercase();
        let name = String::from_utf8_lossy(&name).replace('|', " ");
        let Some(entry) = commands::table().get(name.as_str()) else { continue };
        wanted.push(entry.index);
        wanted.extend(entry.index + 1..=entry.index + entry.command.sub.len());
    }
    if call.args.len() == 2 {
        wanted.extend(0..commands::count());
    }
    let known = wanted.into_iter().filter_map(|index| {
        let stat = &call.server.stats.commands[index];
        (stat.calls > 0).then(|| {
            let fields = vec![
                (Reply::bulk("calls"), Reply::Int(stat.calls as i64)),
                (Reply::bulk("histogram_usec"), cumulative(&stat.histogram, stat.calls)),
            ];
            (Reply::bulk(commands::nth(index).command.full_name()), Reply::Map(fields))
        })
    });
    Ok(Reply::Map(known.collect()))
}

/// How many calls took up to each power of two microseconds. A command takes no time where there is no stopwatch.
fn cumulative(histogram: &Histogram, calls: u64) -> Reply {
    let mut seen = 0;
    let mut rows = Vec::new();
    for (bucket, count) in histogram.counts.iter().enumerate() {
        seen += count;
        if *count > 0 {
            rows.push((Reply::Int(1 << bucket), Reply::Int(seen as i64)));
        }
    }
    if rows.is_empty() {
        rows.push((Reply::Int(1), Reply::Int(calls as i64)));
    }
    Reply::Map(rows)
}

fn slowlog_help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "SLOWLOG",
        &[
            "GET [<count>]",
            "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
            "    Entries are made of:",
            "    id, timestamp, time in microseconds, arguments array, client IP and port,",
            "    client name",
            "LEN",
            "    Return the length of the slowlog.",
            "RESET",
            "    Reset the slowlog.",
        ],
    ))
}

fn latency_help(_: &mut Call) -> Outcome {
    Ok(commands::help(
        "LATENCY",
        &[
            "DOCTOR",
            "    Return a human readable latency analysis report.",
            "GRAPH <event>",
            "    Return an ASCII latency graph for the <event> class.",
            "HISTORY <event>",
            "    Return time-latency samples for the <event> class.",
            "LATEST",
            "    Return the latest latency samples for all events.",
            "RESET [<event> ...]",
            "    Reset latency data of one or more <event> classes.",
            "    (default: reset all data for all event classes)",
            "HISTOGRAM [COMMAND ...]",
            "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
            "    If no commands are specified then all histograms are replied.",
        ],
    ))
}
