//! Redis Cluster in the lab: whole clusters on a simulated network, with faults, by seed.

mod lab;

mod forming;

mod failover;

mod ledger;

mod moves;

mod storms;

mod manager;
