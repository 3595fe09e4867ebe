//! What `redlab serve` was asked for: one server, one for each config file, many nodes, or a whole cluster.
//!
//! Besides redis-server's arguments: `--nodes N` serves N servers on following ports, `--cluster 3x1` a cluster of three
//! primaries with a replica each that is formed already; `--real-time` says what is so anyway. Each of several servers has its own directory below `dir`.

use crate::base::Rng;
use crate::engine::cluster::plan;
use crate::engine::config::Config;
use crate::engine::config::file::{self, Files};
use std::path::{Path, PathBuf};

/// A server to be started.
pub struct Planned {
    pub config: Config,
    pub dir: PathBuf,
    /// It is part of a cluster that is served as formed: it need not wait for news before it takes writes.
    pub formed: bool,
    /// Its files go when the process goes.
    pub scratch: bool,
}

/// The servers, and a directory that lives as long as they do, if they have no other.
pub struct Plan {
    pub servers: Vec<Planned>,
    pub scratch: Option<tempfile::TempDir>,
}

/// Our own words among the arguments.
#[derive(Default)]
struct Own {
    nodes: Option<usize>,
    /// Primaries, and replicas of each.
    cluster: Option<(usize, usize)>,
}

/// More nodes than this are a slip of the finger.
const MOST_NODES: usize = 256;
/// The ports of clusters begin here, as everybody's examples do.
const FIRST_PORT: u16 = 7000;

/// What a server of ours begins with where redis-server's defaults protect a production server from its users: here whoever
/// connects from this machine may DEBUG, and change where files go. A config file or option says otherwise.
fn scratch() -> Config {
    let mut config = Config::default();
    for name in ["enable-debug-command", "enable-module-command", "enable-protected-configs"] {
        config.set(name, "local").expect("a parameter, and one of its values");
    }
    config
}

/// Reads the arguments and makes the directories. Err: lines for the terminal.
pub fn plan(args: &[String], files: &dyn Files, rng: &mut Rng) -> Result<Plan, String> {
    let (own, rest) = split(args)?;
    let configs = rest.iter().take_while(|word| !word.starts_with('-')).count();
    let cwd = std::env::current_dir().map_err(|error| format!("the working directory: {error}"))?;
    let read = |words: &[String]| {
        let mut config = file::from_args_over(scratch(), words, files).map_err(|lines| lines.join("\n"))?;
        config.start_in(&cwd.display().to_string());
        Ok::<Config, String>(config)
    };
    if let Some((primaries, replicas)) = own.cluster {
        return cluster(primaries, replicas, &rest, &read, rng);
    }
    let mut servers = Vec::new();
    if let Some(nodes) = own.nodes {
        let first = read(&rest)?;
        for port in ports(first.port, nodes)? {
            servers.push(one_of_many(&first, port, &rest, &read)?);
        }
    } else if configs > 1 {
        // Each file is a server of its own; the options behind them hold for all.
        for name in &rest[..configs] {
            let words: Vec<String> = std::iter::once(name).chain(&rest[configs..]).cloned().collect();
            servers.push(alone(read(&words)?)?);
        }
    } else {
        servers.push(alone(read(&rest)?)?);
    }
    Ok(Plan { servers, scratch: None })
}

fn alone(config: Config) -> Result<Planned, String> {
    let dir = PathBuf::from(config.text("dir").lossy().into_owned());
    std::fs::read_dir(&dir).map_err(|error| format!("dir {}: {error}", dir.display()))?;
    Ok(Planned { config, dir, formed: false, scratch: false })
}

/// The server on `port` of several that share their arguments, in its own directory below theirs.
fn one_of_many(
    first: &Config,
    port: u16,
    rest: &[String],
    read: &dyn Fn(&[String]) -> Result<Config, String>,
) -> Result<Planned, String> {
    let dir = Path::new(&*first.text("dir").lossy()).join(port.to_string());
    std::fs::create_dir_all(&dir).map_err(|error| format!("dir {}: {error}", dir.display()))?;
    let own = ["--port", &port.to_string(), "--dir", &dir.display().to_string()].map(String::from);
    let config = read(&[rest, &own].concat())?;
    Ok(Planned { config, dir, formed: false, scratch: false })
}

fn cluster(
    primaries: usize,
    replicas: usize,
    rest: &[String],
    read: &dyn Fn(&[String]) -> Result<Config, String>,
    rng: &mut Rng,
) -> Result<Plan, String> {
    let given = |name: &str| rest.iter().any(|word| word.eq_ignore_ascii_case(name));
    let mut words: Vec<String> = rest.to_vec();
    let mut add = |name: &str, value: &str| {
        if !given(name) {
            words.extend([String::from(name), String::from(value)]);
        }
    };
    add("--cluster-enabled", "yes");
    add("--port", &FIRST_PORT.to_string());
    add("--save", "");
    // Redis' five seconds before a snapshot goes to a replica leave a new cluster without a replica that could be elected.
    add("--repl-diskless-sync-delay", "0");
    let scratch = match given("--dir") {
        true => None,
        false => Some(tempfile::tempdir().map_err(|error| format!("a directory for the nodes: {error}"))?),
    };
    if let Some(scratch) = &scratch {
        add("--dir", &scratch.path().display().to_string());
    }
    let first = read(&words)?;
    let ports = ports(first.port, primaries * (1 + replicas))?;
    let mut servers = Vec::new();
    for port in &ports {
        servers.push(one_of_many(&first, *port, &words, read)?);
    }
    let conf = |server: &Planned| server.dir.join(&*server.config.text("cluster-config-file").lossy());
    // Who was here before goes on as what it was.
    if !servers.iter().any(|server| conf(server).exists()) {
        for (server, text) in servers.iter().zip(plan::formed(&ports, primaries, rng)) {
            let path = conf(server);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    for server in &mut servers {
        (server.formed, server.scratch) = (true, scratch.is_some());
    }
    Ok(Plan { servers, scratch })
}

fn ports(first: u16, count: usize) -> Result<Vec<u16>, String> {
    let ports = (0..count).map(|more| u16::try_from(usize::from(first) + more).ok());
    ports.collect::<Option<Vec<u16>>>().ok_or_else(|| format!("there are no {count} ports from {first} on"))
}

fn split(args: &[String]) -> Result<(Own, Vec<String>), String> {
    let (mut own, mut rest) = (Own::default(), Vec::new());
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let (name, inline) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        // Its clock is the real one in any case; the word is for those who come from the lab, where it is not.
        if word == "--real-time" {
            continue;
        }
        if name != "--nodes" && name != "--cluster" {
            rest.push(word.clone());
            continue;
        }
        let value = inline.or_else(|| words.next().map(String::as_str)).unwrap_or_default();
        if name == "--nodes" {
            let nodes = value.parse().ok().filter(|nodes| (1..=MOST_NODES).contains(nodes));
            own.nodes = Some(nodes.ok_or_else(|| format!("--nodes {value}: a number from 1 to {MOST_NODES}"))?);
        } else {
            let shape = value.split_once('x').and_then(|(primaries, replicas)| {
                let shape: (usize, usize) = (primaries.parse().ok()?, replicas.parse().ok()?);
                (shape.0 > 0 && shape.0.checked_mul(shape.1 + 1)? <= MOST_NODES).then_some(shape)
            });
            own.cluster = Some(shape.ok_or_else(|| {
                format!("--cluster {value}: primaries x replicas of each, such as 3x1; {MOST_NODES} nodes at most")
            })?);
        }
    }
    Ok((own, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::file::NoFiles;

    fn planned(words: &str) -> Result<Vec<(u16, String, bool)>, String> {
        let args: Vec<String> = words.split(' ').map(String::from).collect();
        let plan = plan(&args, &NoFiles, &mut Rng::new(1))?;
        let row = |server: &Planned| {
            let name = server.dir.file_name().map(|name| name.to_string_lossy().into_owned());
            (server.config.port, name.unwrap_or_default(), server.config.cluster_enabled)
        };
        Ok(plan.servers.iter().map(row).collect())
    }

    #[test]
    fn nodes_and_clusters_stand_on_following_ports_in_directories_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let words = format!("--nodes 3 --cluster-enabled yes --port 7000 --dir {}", dir.path().display());
        let row = |port: u16| (port, port.to_string(), true);
        assert_eq!(planned(&words), Ok(vec![row(7000), row(7001), row(7002)]));
        let all: Vec<_> = (7100..7106).map(row).collect();
        assert_eq!(planned("--cluster 3x1 --port 7100"), Ok(all));
        assert_eq!(planned("--port 6400").map(|servers| servers.len()), Ok(1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for words in
            ["--nodes 0", "--nodes many", "--cluster 3", "--cluster 0x1", "--cluster 200x9", "--nodes 9 --port 65530"]
        {
            assert!(planned(words).is_err(), "{words}");
        }
    }
}
