//! Terminals and the processes behind them: waiting, starting, ending, ports.

use super::*;

#[test]
fn a_blocked_client_is_served_by_another_and_told_twice() {
    let (mut timeline, shop) = sandbox();
    let worker = timeline.connect(6379, "worker").unwrap();
    assert_eq!(ask(&mut timeline, worker, "BLPOP orders 0"), []);
    assert!(
        redis(timeline.world())
            .clients
            .iter()
            .any(|client| client.blocked && client.terminal.as_deref() == Some("worker"))
    );
    ask(&mut timeline, shop, "RPUSH orders o-1");
    let served = Reply::Array(vec![Reply::bulk("orders"), Reply::bulk("o-1")]);
    assert_eq!(timeline.receive(worker), reply(served.clone()));
    let told: Vec<Reply> = timeline
        .world()
        .events_since(0)
        .filter_map(|event| match &event.what {
            What::Command { args, reply, .. } if *args[0] == *b"BLPOP" => Some(reply.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(told, [Reply::None, served]);
}

#[test]
fn a_wait_ends_when_its_time_is_over() {
    let (mut timeline, shop) = sandbox();
    assert_eq!(ask(&mut timeline, shop, "BLPOP orders 2"), []);
    timeline.pass(Millis(1900));
    assert_eq!(timeline.receive(shop), []);
    timeline.pass(Millis(200));
    assert_eq!(timeline.receive(shop), reply(Reply::NilArray));
}

#[test]
fn key_events_name_the_command_that_did_it() {
    let (mut timeline, shop) = sandbox();
    ask(&mut timeline, shop, "SET session:a1 alice EX 10");
    timeline.sleep(Millis::from_secs(11));
    ask(&mut timeline, shop, "GET session:a1");
    let events: Vec<&snapshot::Event> = timeline.world().events_since(0).collect();
    let set = events.iter().find(|it| matches!(&it.what, What::Command { args, .. } if *args[0] == *b"SET")).unwrap();
    let causes: Vec<(&str, Option<u64>)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Key { event, by, .. } => Some((event.as_str(), *by)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [("set", Some(set.sequence)), ("expire", Some(set.sequence)), ("expired", None)]);
    assert!(events.iter().zip(1..).all(|(event, n)| event.sequence == n));
}

#[test]
fn nobody_listens_where_no_server_runs() {
    let (mut timeline, shop) = sandbox();
    let refused = timeline.connect(6390, "shop").unwrap_err();
    assert_eq!(refused, "Could not connect to Redis at 127.0.0.1:6390: Connection refused");
    timeline.signal(1001, Signal::Kill).unwrap();
    assert_eq!(timeline.receive(shop), [Incoming::Closed]);
    assert_eq!(timeline.signal(1001, Signal::Kill), Err(String::from("kill: (1001) - No such process")));
    assert_eq!(timeline.receive(ConnectionId(99)), [Incoming::Closed]);
}

#[test]
fn a_process_ends_in_different_ways() {
    for (end, state) in
        [(Some(Signal::Kill), State::Crashed), (Some(Signal::Term), State::Stopped), (None, State::Crashed)]
    {
        let (mut timeline, _) = sandbox();
        match end {
            Some(signal) => timeline.signal(1001, signal).unwrap(),
            None => timeline.power_cut(),
        }
        assert_eq!(redis(timeline.world()).state, state, "{end:?}");
        let spawned = timeline.spawn(&argv("redis.conf"));
        assert_eq!(spawned.pid, Some(1002));
        let again = redis(timeline.world());
        assert_eq!((again.state, again.pid), (State::Running, 1002));
        assert_eq!(timeline.world().snapshot().instances.len(), 1);
    }
}

#[test]
fn start_up_speaks_as_redis_server_does() {
    let (mut timeline, _) = sandbox();
    timeline.signal(1001, Signal::Term).unwrap();
    let log = timeline.spawn(&argv("redis.conf --port 6400")).log;
    let said: Vec<&str> = log.iter().map(|line| line.split_once("09:00:00.000 ").expect("a stamp").1).collect();
    assert_eq!(log[0], "1002:C 01 Jan 2030 09:00:00.000 * oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo");
    assert!(said.contains(&"* Configuration loaded"), "{log:#?}");
    assert!(said.contains(&"* Running mode=standalone, port=6400."), "{log:#?}");
    assert_eq!(said.last(), Some(&"* Ready to accept connections tcp"));
    assert!(log.last().unwrap().starts_with("1002:M "));
    assert!(timeline.connect(6400, "shop").is_ok());
}

#[test]
fn a_taken_port_stops_the_second_server() {
    let (mut timeline, _) = sandbox();
    let spawned = timeline.spawn(&argv("--port 6379"));
    assert_eq!(spawned.pid, None);
    let last: Vec<&str> = spawned.log.iter().rev().take(2).map(|line| line.split_once(".000 ").unwrap().1).collect();
    assert_eq!(
        last,
        [
            "# Failed listening on port 6379 (tcp), aborting.",
            "# Warning: Could not create server TCP listening socket *:6379: bind: Address already in use",
        ]
    );
    assert_eq!(redis(timeline.world()).state, State::Running);
    assert_eq!(timeline.world().snapshot().instances.len(), 1);
}

#[test]
fn a_config_that_cannot_be_read_stops_the_server_with_its_line() {
    let (mut timeline, _) = sandbox();
    let gone = timeline.spawn(&argv("nofile.conf"));
    assert_eq!(
        gone.log,
        [
            "1002:C 01 Jan 2030 09:00:00.000 # Fatal error, can't open config file '/home/lab/nofile.conf': No such file or directory"
        ]
    );
    timeline.write_file("bad.conf", b"# a shop\nport 6380\nfoo bar\n").unwrap();
    timeline.write_file("dir.conf", b"port 6380\ndir ./nowhere\n").unwrap();
    let bad = timeline.spawn(&argv("bad.conf"));
    assert_eq!(bad.pid, None);
    assert_eq!(
        bad.log[1..],
        [
            "*** FATAL CONFIG FILE ERROR (Redis 7.2.6) ***",
            "Reading the configuration file, at line 3",
            ">>> 'foo bar'",
            "Bad directive or wrong number of arguments",
        ]
    );
    let dir = timeline.spawn(&argv("dir.conf"));
    assert_eq!(
        dir.log[2..],
        ["Reading the configuration file, at line 2", ">>> 'dir ./nowhere'", "No such file or directory"]
    );
    timeline.make_dir("nowhere").unwrap();
    assert!(timeline.spawn(&argv("dir.conf")).pid.is_some());
}

#[test]
fn a_log_file_takes_what_the_terminal_would_have_shown() {
    let (mut timeline, _) = sandbox();
    let spawned = timeline.spawn(&argv("--port 6380 --logfile redis.log"));
    assert_eq!(spawned.log, [] as [&str; 0]);
    let log = String::from_utf8(timeline.world().read_file("redis.log").unwrap()).unwrap();
    assert!(log.ends_with("* Ready to accept connections tcp\n"), "{log}");
}

#[test]
fn two_servers_live_side_by_side() {
    let cache = Server { setup: vec![(1, args("SET page:1 html"))], ..Server::new("cache", 6380, "dir cache\n") };
    let sessions = Server { running: false, ..Server::new("sessions", 6381, "dir sessions\n") };
    let topology = Topology { instances: vec![cache, sessions], ..Topology::default() };
    let mut timeline = Timeline::new(&topology, None);
    let world = timeline.world().snapshot();
    let states: Vec<_> = world.instances.iter().map(|it| (it.name.as_str(), it.port, it.state)).collect();
    assert_eq!(states, [("cache", 6380, State::Running), ("sessions", 6381, State::Stopped)]);
    assert_eq!((world.instances[0].dbs[0].index, world.instances[0].clients.len()), (1, 0));
    assert_eq!(world.instances[0].disk.dir, "/home/lab/cache");
    assert_eq!(timeline.world().list_files(""), ["cache.conf", "cache/", "sessions.conf", "sessions/"]);
    assert!(timeline.spawn(&argv("sessions.conf")).pid.is_some());
    assert_eq!(timeline.world().snapshot().instances[1].state, State::Running);
}
