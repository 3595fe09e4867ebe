//! The engine against Redis.
//!
//! `commands`: what COMMAND says of each. `recordings`: transcripts made from a real redis-server, replayed offline on every
//! run. `differential`: random valid and broken commands, drawn from the command table, on both servers at once. `replication`: streams between both
//! kinds of servers. `eviction`: who has to go when memory is full, by shares. `lessons`:
//! the solutions of all lessons, typed at redis-server processes (`machine`) too. `cluster`: six nodes
//! of the lab beside six processes. `pair`: a cache and a session store
//! lose their power, in the lab and as real processes. What needs redis-server is skipped,
//! visibly, where it is not installed; `REDLAB_REQUIRE_ORACLE=1` makes that an error.

mod cluster;
mod commands;
mod differential;
#[path = "../fuzz/drawn.rs"]
mod drawn;
mod eviction;
mod generate;
mod lessons;
mod machine;
mod pair;
mod persist;
mod recordings;
mod replication;
mod servers;
mod startup;
