//! Random commands from the command table: every argument is made from its name in the syntax.

use crate::drawn::{Manner, NUMKEYS, pick};
use redlab::base::{Bytes, Rng};
use redlab::engine::command::Command;
use redlab::engine::syntax;

const MANNER: Manner = Manner { optional: (1, 3), longest: 8, value };

/// The words of one call of `command`: mostly as its syntax says, now and then broken.
pub fn call(command: &Command, rng: &mut Rng) -> Vec<Bytes> {
    let mut words: Vec<Bytes> = command.name.split(' ').map(Bytes::from).collect();
    let names = words.len();
    MANNER.sequence(&syntax::parse(command.syntax), rng, &mut words);
    match rng.below(12) {
        0 if words.len() > names => drop(words.remove(names + rng.below(words.len() - names))),
        1 => words.push(junk(rng)),
        2 if words.len() > names => {
            let at = names + rng.below(words.len() - names);
            words[at] = junk(rng);
        }
        _ => {}
    }
    words
}

fn value(name: &str, rng: &mut Rng) -> Bytes {
    let text = match name {
        "key" | "source" | "destination" | "newkey" | "destkey" | "srckey" | "dstkey" | "key1" | "key2"
        | "sourcekey" => {
            pick(&["str", "num", "list", "set", "ints", "hash", "zset", "stream", "places", "none", "other"], rng)
        }
        "numkeys" => NUMKEYS,
        "field" | "member" | "element" | "pivot" => pick(&["a", "b", "c", "1", "2", "30", "x y", ""], rng),
        "increment" | "decrement" => pick(&["1", "-3", "10", "2.5", "9223372036854775807"], rng),
        "score" => pick(&["1", "2", "-1.5", "inf", "3e2", "0"], rng),
        "min" => pick(&["-inf", "0", "(1", "-", "[a", "(b"], rng),
        "max" => pick(&["+inf", "2", "(300", "+", "[c", "(c"], rng),
        "start" | "stop" | "end" | "offset" | "index" => pick(&["0", "1", "-1", "2", "-2", "5", "100"], rng),
        "count" | "len" | "num-matches" => pick(&["1", "2", "3", "-2", "0", "10"], rng),
        // Nothing ends while the test runs.
        "seconds" | "milliseconds" => pick(&["1000000", "100000", "0", "-1"], rng),
        "unix-time-seconds" => pick(&["4102444800", "1"], rng),
        "unix-time-milliseconds" => pick(&["4102444800000", "1"], rng),
        "pattern" => pick(&["*", "s*", "[hl]*", "?um", "nothing"], rng),
        "cursor" => "0",
        "index-db" | "db" | "destination-db" => pick(&["0", "1", "16"], rng),
        "bit" => pick(&["0", "1"], rng),
        "weight" => pick(&["1", "2", "0.5"], rng),
        "id" | "last-id" | "max-deleted-id" | "threshold" => {
            pick(&["0", "1-1", "1-2", "2-0", "3", "5-5", "9-*", "$", ">", "-", "x-1"], rng)
        }
        "group" => pick(&["g", "h"], rng),
        "consumer" => pick(&["c", "d"], rng),
        "longitude" | "latitude" | "radius" | "width" | "height" => {
            pick(&["13.361389", "38.115556", "0", "15.08", "200", "-122.4", "85.05112878", "nan"], rng)
        }
        "timeout" => "0.01",
        "serialized-value" => "broken",
        _ => pick(
            &[
                "a",
                "hello",
                "10",
                "-7",
                "3.0",
                "\u{e9}\n",
                "a longer text that is no longer embedded beside its header",
            ],
            rng,
        ),
    };
    Bytes::from(text)
}

fn junk(rng: &mut Rng) -> Bytes {
    Bytes::from(pick(&["", "-1", "nan", "junk", "9223372036854775808", "LIMIT", "WITHSCORES", "1.5x", "\r\n"], rng))
}
