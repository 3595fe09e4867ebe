//! `redlab serve` as a process: what it does in the background, its sockets and limits, and redis-cli's modes against it.

mod abuse;
mod background;
mod cli;
mod exporter;
mod modes;
mod served;
mod sockets;
