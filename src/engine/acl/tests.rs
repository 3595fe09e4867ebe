//! What a change of users does to the connections of a running instance. Replies alone are recorded from a real server in
//! `tests/oracle/transcripts/acl`.

use crate::base::{Bytes, Millis, Rng};
use crate::engine::config::{Config, file};
use crate::engine::disk::{Disk, MemoryDisk};
use crate::engine::testing::{Lab, transcript};
use crate::engine::{ClientId, Env, Input, Instance, Output};
use crate::resp::Reply;

#[test]
fn a_change_reaches_who_is_logged_in() {
    transcript(
        "
        > ACL SETUSER alice on nopass ~cart:* +get
        OK
        alice> AUTH alice x
        OK
        alice> GET session:a1
        (error) NOPERM No permissions to access a key
        > ACL SETUSER alice ~session:*
        OK
        alice> GET session:a1
        (nil)
        > ACL SETUSER alice -get
        OK
        alice> GET session:a1
        (error) NOPERM User alice has no permissions to run the 'get' command
        ",
    );
}

#[test]
fn a_blocked_client_is_refused_if_it_has_lost_the_right_meanwhile() {
    transcript(
        "
        > ACL SETUSER worker on nopass ~queue +blpop +lpush
        OK
        worker> AUTH worker x
        OK
        worker> BLPOP queue 0
        > ACL SETUSER worker -blpop
        OK
        > LPUSH queue order:1
        (integer) 1
        worker>
        (error) NOPERM User worker has no permissions to run the 'blpop' command
        > LRANGE queue 0 -1
        1) \"order:1\"
        ",
    );
}

#[test]
fn exec_checks_again() {
    transcript(
        "
        > ACL SETUSER alice on nopass ~* +@all
        OK
        alice> AUTH alice x
        OK
        alice> MULTI
        OK
        alice> SET cart:42 1
        QUEUED
        alice> GET cart:42
        QUEUED
        > ACL SETUSER alice -set
        OK
        alice> EXEC
        1) (error) NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no longer allowed for the following reason: no permission to execute the command or subcommand
        2) (nil)
        > ACL LOG RESET
        OK
        ",
    );
}

#[test]
fn a_removed_user_is_disconnected_and_a_listener_that_may_listen_no_more_too() {
    let mut lab = Lab::new(1);
    lab.ask(&["ACL", "SETUSER", "alice", "on", "nopass", "+@all", "~*", "&news"]);
    lab.ask(&["ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*", "&news"]);
    for name in ["alice", "bob"] {
        lab.send(name, &["AUTH", name, "x"]);
        lab.send(name, &["SUBSCRIBE", "news"]);
    }
    let is_there = |lab: &mut Lab, name: &str| {
        let id = lab.client(name);
        lab.instance.clients.contains_key(&id)
    };
    lab.ask(&["ACL", "SETUSER", "alice", "&orders"]);
    assert!(is_there(&mut lab, "alice"), "a channel more harms nobody");
    lab.ask(&["ACL", "SETUSER", "alice", "resetchannels", "&orders"]);
    assert!(!is_there(&mut lab, "alice"));
    assert_eq!(lab.ask(&["ACL", "DELUSER", "bob"]), Reply::Int(1));
    assert!(!is_there(&mut lab, "bob"));
    assert_eq!(lab.ask(&["PUBLISH", "news", "x"]), Reply::Int(0));
}

#[test]
fn refusals_are_logged_and_the_same_within_a_minute_are_one() {
    transcript(
        "
        > ACL SETUSER alice on >secret ~cart:* +get +multi +exec
        OK
        alice> AUTH alice wrong
        (error) WRONGPASS invalid username-password pair or user is disabled.
        alice> AUTH alice secret
        OK
        alice> GET session:a1
        (error) NOPERM No permissions to access a key
        alice> GET session:a1
        (error) NOPERM No permissions to access a key
        alice> MULTI
        OK
        alice> GET session:a1
        (error) NOPERM No permissions to access a key
        alice> EXEC
        (error) EXECABORT Transaction discarded because of previous errors.
        > .sleep 61000
        alice> GET session:a1
        (error) NOPERM No permissions to access a key
        ",
    );
    let mut lab = Lab::new(1);
    lab.ask(&["ACL", "SETUSER", "alice", "on", "nopass", "+get"]);
    lab.send("alice", &["AUTH", "alice", "x"]);
    for wait in [0, 1000, 59_000, 61_000] {
        lab.now += Millis(wait);
        lab.send("alice", &["GET", "session:a1"]);
    }
    let entries: Vec<(u64, u64)> = lab.instance.acl.log.entries.iter().map(|entry| (entry.id, entry.count)).collect();
    assert_eq!(entries, [(1, 1), (0, 3)]);
    assert_eq!(lab.instance.acl.log.key, 4);
}

fn started(config: &str, disk: &mut MemoryDisk) -> Result<Box<Instance>, Vec<String>> {
    let mut rng = Rng::new(1);
    let config: Config = file::from_text(config.as_bytes())?;
    Instance::boot(config, &mut Env { now: Millis(0), rng: &mut rng, disk }).map(|(instance, _)| instance)
}

fn ask(instance: &mut Instance, disk: &mut MemoryDisk, words: &[&str]) -> Reply {
    let (mut rng, mut out) = (Rng::new(1), Vec::new());
    let mut env = Env { now: Millis(0), rng: &mut rng, disk };
    if !instance.clients.contains_key(&ClientId(1)) {
        instance.step(&mut env, Input::Connect(ClientId(1)), &mut out);
    }
    instance.step(&mut env, Input::Request(ClientId(1), words.iter().map(|it| Bytes::from(*it)).collect()), &mut out);
    let mut replies =
        out.into_iter().filter_map(|said| if let Output::Reply(_, reply) = said { Some(reply) } else { None });
    replies.next_back().expect("nothing here waits")
}

#[test]
fn users_are_saved_loaded_and_survive_a_restart() {
    let mut disk = MemoryDisk::default();
    disk.write("users.acl", b"user alice on nopass ~cart:* +get\n").unwrap();
    let mut server = started("aclfile users.acl\nsave \"\"", &mut disk).unwrap();
    ask(&mut server, &mut disk, &["ACL", "SETUSER", "bob", "on", ">secret", "~*", "+@all", "(%R~session:* +@read)"]);
    let list = ask(&mut server, &mut disk, &["ACL", "LIST"]);
    assert_eq!(ask(&mut server, &mut disk, &["ACL", "SAVE"]), Reply::OK);
    let mut again = started("aclfile users.acl\nsave \"\"", &mut disk).unwrap();
    assert_eq!(ask(&mut again, &mut disk, &["ACL", "LIST"]), list);
    disk.write("users.acl", b"user alice on nopass ~cart:* +get\nuser carl on +nonsense\n").unwrap();
    let Reply::Error(text) = ask(&mut again, &mut disk, &["ACL", "LOAD"]) else { panic!("a bad file was taken") };
    assert_eq!(
        text,
        "ERR users.acl:2: Error in applying operation '+nonsense': Unknown command or category name in ACL. WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    );
    assert_eq!(ask(&mut again, &mut disk, &["ACL", "LIST"]), list);
    disk.write("users.acl", b"user alice on nopass ~cart:* +get\n").unwrap();
    assert_eq!(ask(&mut again, &mut disk, &["ACL", "LOAD"]), Reply::OK);
    assert_eq!(ask(&mut again, &mut disk, &["ACL", "USERS"]), Reply::bulks(["alice", "default"]));
}

#[test]
fn a_rewritten_config_file_declares_the_users() {
    let mut disk = MemoryDisk::default();
    let mut server = started("save \"\"\nrequirepass geheim\nuser alice on nopass ~cart:* +get", &mut disk).unwrap();
    let lines: Vec<Bytes> = server.acl.users().map(|user| user.describe()).collect();
    let text = server.config.rewritten(b"save \"\"\nrequirepass geheim\nuser alice on nopass ~cart:* +get", &lines);
    let again = started(&String::from_utf8(text).unwrap(), &mut disk).unwrap();
    assert_eq!(again.acl.users().map(|user| user.describe()).collect::<Vec<_>>(), lines);
    assert!(again.acl.login(b"default", b"geheim").is_some());
    assert_eq!(ask(&mut server, &mut disk, &["PING"]), Reply::Error("NOAUTH Authentication required.".into()));
}

#[test]
fn a_renamed_command_answers_to_its_new_name_only_and_keeps_its_rights() {
    let mut disk = MemoryDisk::default();
    let config = "save \"\"\nrename-command FLUSHALL \"\"\nrename-command CONFIG secret-config\nuser default on nopass ~* &* +@all -config|set";
    let mut server = started(config, &mut disk).unwrap();
    let text = |reply: Reply| if let Reply::Error(text) = reply { text.into_owned() } else { format!("{reply:?}") };
    assert_eq!(
        text(ask(&mut server, &mut disk, &["FLUSHALL"])),
        "ERR unknown command 'FLUSHALL', with args beginning with: "
    );
    assert_eq!(
        text(ask(&mut server, &mut disk, &["config", "get", "port"])),
        "ERR unknown command 'config', with args beginning with: 'get' 'port' "
    );
    assert!(!ask(&mut server, &mut disk, &["Secret-Config", "GET", "port"]).is_error());
    assert_eq!(
        text(ask(&mut server, &mut disk, &["secret-config", "set", "maxmemory", "1"])),
        "NOPERM User default has no permissions to run the 'config|set' command"
    );
}

#[test]
fn no_rule_makes_the_parser_panic_and_what_is_shown_reads_back() {
    let mut rng = Rng::new(5);
    let words = [
        "on",
        "off",
        "+get",
        "-get",
        "+@read",
        "-@all",
        "+@all",
        "~*",
        "~cart:*",
        "%R~a",
        "%RW~b",
        "%",
        "%~",
        "&*",
        "&news",
        "allkeys",
        "resetkeys",
        "(",
        ")",
        "(+get ~a)",
        "(+set",
        "+config|get",
        "+select|0",
        "|",
        "+|",
        "-@",
        ">",
        ">pw",
        "<pw",
        "#",
        "!x",
        "reset",
        "clearselectors",
        "",
        "\0",
        "nopass",
        "resetchannels",
    ];
    for _ in 0..3000 {
        let rules: Vec<Bytes> = (0..rng.below(8)).map(|_| Bytes::from(words[rng.below(words.len())])).collect();
        let acl = super::Acl::default();
        let Ok(user) = acl.changed(b"alice", &rules, false) else { continue };
        let text = [&user.describe()[..], b"\n"].concat();
        let read = super::file::parse(&text, "users.acl", false).unwrap_or_else(|error| panic!("{rules:?}: {error}"));
        assert_eq!(read.user(b"alice").unwrap().describe(), user.describe(), "{rules:?}");
    }
}
