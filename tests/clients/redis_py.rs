//! redis-py's RedisCluster with its default options; what it does stands in `redis_py.py`.

use crate::served::{Served, is_here, redis_cli_is_here};
use std::process::Command;

/// `REDLAB_PYTHON`: the interpreter that has redis-py, if that is not python3.
#[test]
fn redis_py_goes_on_writing_through_a_reshard_and_a_failover() {
    let python = std::env::var("REDLAB_PYTHON").unwrap_or_else(|_| String::from("python3"));
    if !redis_cli_is_here() || !is_here(&python, &["-c", "import redis.cluster"]) {
        return;
    }
    let served = Served::cluster();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py.py");
    let ports = served.ports.iter().map(u16::to_string);
    let output = Command::new(&python).arg(script).args(ports).output().expect("it ran before");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
