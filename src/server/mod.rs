//! `redlab serve`: engines on sockets, for any Redis client.
//!
//! One thread, one event loop, as in Redis: read what has come, run it, write the answers in one go. An instance gets the
//! real clock, real files below its working directory, and a seed that nobody can guess. Loopback unless told otherwise.

mod care;
mod connection;
mod disk;
mod event_loop;
mod links;
mod listen;
mod meanwhile;
mod plan;
mod process;
mod pulse;
mod settle;

pub use disk::FileDisk;
pub use event_loop::{Node, serve};
pub use listen::{ListenError, Listener};

use crate::base::{Millis, Rng};
use crate::engine::Env;
use crate::engine::Instance;
use crate::engine::config::Config;
use crate::engine::config::file::Files;
use crate::engine::hooks::Hooks;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

thread_local! {
    /// Somebody has asked whether other addresses could be listened on, and may have set them: the loop looks after its turn.
    /// A loop and its instances live on one thread.
    static LISTEN_ANEW: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The origin of the stopwatch: any moment will do.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Serves one instance as `args` (those of redis-server) say, until SIGTERM, SIGINT or SHUTDOWN ends it.
pub fn run(args: &[String]) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("redlab serve: {message}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &[String]) -> Result<(), String> {
    let mut rng = Rng::new(unguessable());
    let plan = plan::plan(args, &RealFiles, &mut rng)?;
    // Kept until all have ended.
    let _scratch = plan.scratch;
    let many = plan.servers.len() > 1;
    let mut nodes = Vec::new();
    let mut names = Vec::new();
    for mut server in plan.servers {
        allow_clients(&mut server.config, many);
        let name = if many { format!("{} ", server.config.port) } else { String::new() };
        nodes.push(node(server, &name)?);
        names.push(name);
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| error.to_string())?;
    }
    serve(nodes, &stop, &mut |node, line| eprintln!("{}{line}", names[node])).map_err(|error| error.to_string())
}

/// Files that a server has open besides its clients' sockets.
const OWN_FILES: u64 = 32;

/// Asks for as many open files as the clients of a server need; if there are fewer, fewer clients may come. `many` servers
/// share what there is.
fn allow_clients(config: &mut Config, many: bool) {
    let wanted = config.maxclients as u64 + OWN_FILES;
    let allowed = process::allow_files(wanted);
    if allowed >= wanted || many {
        return;
    }
    let fewer = allowed.saturating_sub(OWN_FILES).max(1);
    eprintln!(
        "# You requested maxclients of {} requiring at least {wanted} max file descriptors.\n# Current maximum open files is \
         {allowed}. maxclients has been reduced to {fewer} to compensate for low ulimit. If you need higher maxclients \
         increase 'ulimit -n'.",
        config.maxclients
    );
    config.set("maxclients", &fewer.to_string()).expect("a parameter, and a number that it takes");
}

/// Starts one server: sockets, data, log. `name` stands before each line of its log.
fn node(server: plan::Planned, name: &str) -> Result<Node, String> {
    let mut rng = Rng::new(unguessable());
    let now = event_loop::wall_clock();
    let listeners = listeners(&server.config)?;
    let bus = bus_listeners(&server.config)?;
    let ports: Vec<String> = listeners.iter().filter_map(Listener::port).map(|port| port.to_string()).collect();
    let lock = lock_nodes_conf(&server)?;
    let mut disk = if server.scratch { FileDisk::scratch(server.dir) } else { FileDisk::new(server.dir) };
    let booted = Instance::boot(server.config, &mut Env { now, rng: &mut rng, disk: &mut disk });
    let (mut instance, log) = booted.map_err(|lines| lines.join("\n"))?;
    log.iter().for_each(|line| eprintln!("{name}{line}"));
    instance.hooks = Hooks {
        stopwatch: Some(|| START.elapsed().as_micros() as u64),
        sleep: Some(|micros| std::thread::sleep(Duration::from_micros(micros))),
        usage: Some(process::usage),
        processes: process::processes(),
        pid: Some(std::process::id()),
        could_listen: Some(could_listen),
        event_loop: Some(pulse::stats),
    };
    if let Some(cluster) = instance.cluster.as_deref_mut().filter(|_| server.formed) {
        cluster.first_update = Some(Millis::ZERO);
    }
    eprintln!("{name}* Ready to accept connections tcp on port {}", ports.join(", "));
    Ok(Node { instance: *instance, disk: Box::new(disk), rng, listeners, bus, lock })
}

/// Keeps other nodes off this one's nodes.conf for as long as the file is held. Err: another has it.
fn lock_nodes_conf(server: &plan::Planned) -> Result<Option<std::fs::File>, String> {
    if !server.config.cluster_enabled {
        return Ok(None);
    }
    let name = server.config.text("cluster-config-file");
    let name = name.lossy();
    let path = server.dir.join(&*name);
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| format!("Can't open {name} in order to acquire a lock: {error}"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(format!(
            "Sorry, the cluster configuration file {name} is already used by a different Redis Cluster node. Please make \
             sure that different nodes use different cluster configuration files."
        )),
        Err(std::fs::TryLockError::Error(error)) => Err(format!("Impossible to lock {name}: {error}")),
    }
}

/// The port of a cluster node's bus is its client port and this, unless `cluster-port` says otherwise.
const BUS_OFFSET: u16 = 10_000;

/// Where a cluster node's bus listens: at the addresses for clients. Err: the port does not exist, or is taken.
fn bus_listeners(config: &Config) -> Result<Vec<Listener>, String> {
    if !config.flag("cluster-enabled") || config.port == 0 {
        return Ok(Vec::new());
    }
    let own = u16::try_from(config.int("cluster-port")).ok().filter(|port| *port != 0);
    let Some(port) = own.or_else(|| config.port.checked_add(BUS_OFFSET)) else {
        return Err(format!("port {} is too high: the bus port, {BUS_OFFSET} above it, does not exist", config.port));
    };
    tcp_listeners(config, port)
}

/// The sockets that the configuration asks for. Without a password and a `bind` only loopback is listened on: a scratch
/// server must not be open to the network by accident.
fn listeners(config: &Config) -> Result<Vec<Listener>, String> {
    let mut found = if config.port == 0 { Vec::new() } else { tcp_listeners(config, config.port)? };
    #[cfg(unix)]
    if let path = config.text("unixsocket")
        && !path.is_empty()
    {
        let path = std::path::Path::new(&*path.lossy()).to_owned();
        found.push(Listener::unix(&path).map_err(|error| error.to_string())?);
        let mode = u32::from_str_radix(&config.text("unixsocketperm").lossy(), 8).unwrap_or(0);
        if mode != 0 {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, mode).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if found.is_empty() {
        Err(String::from("nothing to listen on: port is 0 and there is no unixsocket"))
    } else {
        Ok(found)
    }
}

fn tcp_listeners(config: &Config, port: u16) -> Result<Vec<Listener>, String> {
    let addresses = addresses(config);
    let mut found = Vec::new();
    for (address, optional) in &addresses {
        match Listener::tcp(*address, port) {
            Ok(listener) => found.push(listener),
            Err(_) if *optional && addresses.len() > 1 => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(found)
}

/// The addresses that `bind` names, and whether the machine may lack them: redis-server's default asks for IPv6 in this way
/// (`-::1`). An empty `bind` names none.
fn addresses(config: &Config) -> Vec<(IpAddr, bool)> {
    let asked = config.text("bind");
    let open = !config.text("requirepass").is_empty() || *asked != *Config::default().text("bind");
    let asked = asked.lossy();
    let one = |word: &str| {
        let (name, optional) = word.strip_prefix('-').map_or((word, false), |name| (name, true));
        let address = match name {
            "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            name => name.parse().ok()?,
        };
        Some((address, optional))
    };
    let mut addresses: Vec<(IpAddr, bool)> = asked.split_whitespace().filter_map(one).collect();
    addresses.retain(|(address, _)| open || address.is_loopback());
    if addresses.is_empty() && !asked.trim().is_empty() {
        addresses.push((IpAddr::V4(Ipv4Addr::LOCALHOST), false));
    }
    addresses
}

/// Whether what `new` asks to be listened on, and `old` did not, can be had.
fn could_listen(old: &Config, new: &Config) -> bool {
    LISTEN_ANEW.set(true);
    let known: Vec<IpAddr> = addresses(old).into_iter().map(|(address, _)| address).collect();
    let more = addresses(new).into_iter().filter(|(address, _)| old.port != new.port || !known.contains(address));
    let free = |address: IpAddr| std::net::TcpListener::bind((address, new.port)).is_ok();
    new.port == 0 || more.into_iter().all(|(address, optional)| optional || free(address))
}

/// Config files of this computer.
struct RealFiles;

impl Files for RealFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => String::from("No such file or directory"),
            _ => error.to_string(),
        })
    }

    fn beside(&self, pattern: &str) -> Vec<String> {
        let (dir, _) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let prefix = if pattern.contains('/') { format!("{dir}/") } else { String::new() };
        let mut paths: Vec<String> =
            names.map(|entry| format!("{prefix}{}", entry.file_name().to_string_lossy())).collect();
        paths.sort();
        paths
    }
}

/// A seed from the operating system's randomness, by way of std's hasher.
fn unguessable() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
