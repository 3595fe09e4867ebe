//! Scripts: Lua 5.1 as Redis runs it, in one interpreter for EVAL and functions.
//!
//! What an instance *is* stays a value: the texts of cached scripts (by SHA1), the sources of function libraries, the state of
//! `math.random`. The interpreter itself is not part of it: it is made when a script first runs, never cloned, and made anew
//! from the texts in a fork, after an undo, or when a script has used up its memory. What a library keeps in its own upvalues
//! therefore does not survive a fork, as it does not survive a restart of a real server.
//!
//! Order for readers: `script` (texts and their flags), `library`, `machine` (the interpreter), `api` (`redis.*`), `convert`
//! (values both ways), `raw` (the only `unsafe`), then the libraries that scripts can use.

pub mod library;
pub mod script;

mod busy;
mod machine;
mod running;

mod api;
mod call;
mod convert;
mod raw;

mod args;
mod bit;
mod cjson;
mod cmsgpack;
mod rand;
mod structs;

use crate::base::Bytes;
use crate::engine::refusal::Refusal;
use crate::resp::Protocol;
use library::Libraries;
use machine::Machine;
use rand::Rand48;
pub use running::{Run, Text, compile, run};
pub use script::{Script, ScriptFlags};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The SHA1 of a script in lower-case hexadecimal.
pub type Sha = [u8; 40];

/// What an instance knows of scripts.
#[derive(Clone, Default)]
pub struct Scripting {
    /// What EVAL has run and SCRIPT LOAD has brought.
    pub scripts: BTreeMap<Sha, Arc<Script>>,
    pub libraries: Libraries,
    rand: Rand48,
    machine: Spare,
    /// The script that is running.
    pub active: Option<Box<Active>>,
    /// An error that the command is about to answer has been counted where it arose.
    pub error_counted: bool,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call every command.
    pub allows_all: bool,
    /// Clients that went away while their script ran.
    pub gone: Vec<crate::engine::ClientId>,
    /// There was no room under `maxmemory` when the command began.
    pub out_of_memory: bool,
}

/// An interpreter between two scripts. A clone of it is none.
#[derive(Default)]
struct Spare(Option<Box<Machine>>);

impl Clone for Spare {
    fn clone(&self) -> Spare {
        Spare(None)
    }
}

/// What the running script may do and has done.
#[derive(Clone, Debug)]
pub struct Active {
    /// The SHA1 of a script, the name of a function.
    pub name: Bytes,
    /// EVAL, not FCALL.
    pub is_eval: bool,
    pub read_only: bool,
    pub allow_oom: bool,
    /// It has called a command that writes: it can no longer be refused anything, nor killed.
    pub wrote: bool,
    /// SCRIPT KILL has come.
    pub killed: bool,
    /// Its keys may be in several hash slots.
    pub any_slot: bool,
    /// The hash slot of the keys that it has used or declared.
    pub slot: Option<u16>,
    /// The database that its commands work on.
    pub db: usize,
    /// What `redis.setresp` chose.
    pub protocol: Protocol,
    /// What `redis.set_repl` chose: 1 the AOF, 2 the replicas.
    pub repl: u8,
    /// Microseconds of the stopwatch, or 0.
    pub began_us: u64,
    /// It has run longer than `busy-reply-threshold`; these are the words of the command that runs it.
    pub slow: Option<Vec<Bytes>>,
}

impl Active {
    /// What others are told while it runs.
    pub fn busy(&self) -> Refusal {
        Refusal::new(if self.is_eval {
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
        } else {
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        })
    }
}

impl Scripting {
    /// Bytes that the texts of cached scripts take.
    pub fn scripts_memory(&self) -> usize {
        self.scripts.values().map(|script| script.body.len() + 40 + size_of::<Script>()).sum()
    }

    /// The sources of all libraries: what is saved of them.
    pub fn library_sources(&self) -> Vec<Bytes> {
        self.libraries.by_name.values().map(|library| library.code.clone()).collect()
    }

    /// SCRIPT FLUSH: forgets all scripts, and what they may have left in the interpreter.
    pub fn flush_scripts(&mut self) {
        self.scripts.clear();
        self.machine = Spare(None);
    }
}

#[cfg(test)]
mod tests {
    use crate::base::{Bytes, Rng};
    use crate::engine::Input;
    use crate::engine::testing::{Lab, transcript};
    use crate::resp::Reply;

    /// Bytes that begin as something sensible and are then damaged.
    fn hostile(rng: &mut Rng, seeds: &[&[u8]]) -> Vec<u8> {
        let mut bytes = seeds[rng.below(seeds.len())].repeat(1 + rng.below(3));
        for _ in 0..rng.below(6) {
            if bytes.is_empty() {
                break;
            }
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => bytes[at] = rng.below(256) as u8,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, rng.below(256) as u8),
                _ => bytes[at] ^= 1 << rng.below(8),
            }
        }
        bytes
    }

    #[test]
    fn hostile_input_never_breaks_the_libraries() {
        let mut lab = Lab::new(5);
        let id = lab.client("");
        let mut rng = Rng::new(77);
        let json: &[&[u8]] = &[
            br#"{"a":[1,-2.5e3,"x\u00e9",null,true],"b":{"c":{}}}"#,
            br#"[[[[[[1]]]]],"\ud83d\ude00",0x1F,nan,-infinity]"#,
            b"\"\\n\\t",
        ];
        let packed: &[&[u8]] = &[
            b"\x93\x01\xa3two\x81\xa1a\xcb\x3f\xf8\0\0\0\0\0\0",
            b"\xdd\xff\xff\xff\xff\x01",
            b"\xdf\0\0\0\x02\xc0\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x91\x91\x91\x91\x91\x91",
        ];
        let formats: &[&[u8]] = &[b">I2hl", b"!8bdc0s", b"i32c10x<f!4T", b"c0c0ss"];
        for (script, seeds) in [
            ("return pcall(cjson.decode, ARGV[1]) and 1 or 0", json),
            ("return pcall(cmsgpack.unpack, ARGV[1]) and 1 or 0", packed),
            ("return pcall(struct.unpack, ARGV[1], ARGV[2]) and 1 or 0", formats),
            ("return pcall(struct.size, ARGV[1]) and 1 or 0", formats),
            ("return pcall(struct.pack, ARGV[1], 1, -2, 'text', 1e300, 0/0) and 1 or 0", formats),
        ] {
            for _ in 0..400 {
                let words = [
                    Bytes::from("EVAL"),
                    Bytes::from(script),
                    Bytes::from("0"),
                    Bytes::from(hostile(&mut rng, seeds)),
                    Bytes::from(hostile(&mut rng, packed)),
                ];
                lab.step(Input::Request(id, words.to_vec()));
                let replies = lab.take("");
                assert!(matches!(replies[..], [Reply::Int(0 | 1)]), "{script} {:?}: {replies:?}", words[3]);
            }
        }
    }

    #[test]
    fn a_script_without_end_is_ended_in_the_lab() {
        transcript(
            r#"
            > EVAL "while true do pcall(function() while true do end end) end" 0
            (error) ERR Script killed by user with SCRIPT KILL... script: 3d7b0cfd4124d0a72b8a39e531e7c806bc453d3e, on @user_script:1.
            > PING
            PONG
            > SCRIPT KILL
            (error) NOTBUSY No scripts in execution right now.
            "#,
        );
    }

    #[test]
    fn a_script_that_takes_all_memory_ends_and_the_next_runs() {
        let mut lab = Lab::new(1);
        let greedy = "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 100000) .. i end";
        assert!(lab.ask(&["EVAL", greedy, "0"]).is_error());
        assert_eq!(lab.ask(&["EVAL", "return 1", "0"]), Reply::Int(1));
    }

    // EVAL itself is allowed there: what it calls was let through, whatever it was.
    #[test]
    fn on_a_stale_replica_a_script_may_call_what_a_client_may() {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
        lab.ask(&["REPLICAOF", "127.0.0.1", "7000"]);
        let reply = lab.ask(&["EVAL", "return redis.pcall('GET', KEYS[1]).err", "1", "cart:42"]);
        assert_eq!(reply, Reply::bulk("ERR Can not execute the command on a stale replica"));
        assert_eq!(lab.ask(&["EVAL", "return #redis.call('TIME')", "0"]), Reply::Int(2));
    }

    #[test]
    fn a_fork_has_scripts_and_functions_but_not_the_interpreter() {
        let mut lab = Lab::new(1);
        let code = "#!lua name=l\nlocal n = 0 redis.register_function('f', function() n = n + 1 return n end)";
        lab.ask(&["FUNCTION", "LOAD", code]);
        assert_eq!(lab.ask(&["FCALL", "f", "0"]), Reply::Int(1));
        assert_eq!(lab.ask(&["FCALL", "f", "0"]), Reply::Int(2));
        lab.instance = lab.instance.clone();
        assert_eq!(lab.ask(&["FCALL", "f", "0"]), Reply::Int(1));
    }

    #[test]
    fn what_a_script_writes_is_one_transaction_in_the_aof() {
        transcript(
            r#"
            > CONFIG SET appendonly yes
            OK
            > EVAL "redis.call('SET', 'a', 1) redis.call('INCR', 'a') return redis.call('GET', 'a')" 0
            "2"
            > EVAL "redis.set_repl(redis.REPL_NONE) return redis.call('SET', 'b', 1)" 0
            OK
            "#,
        );
    }
}
