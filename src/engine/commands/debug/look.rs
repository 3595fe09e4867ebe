//! What DEBUG shows of how something is kept: numbers from the tables and lists themselves, sizes from the memory model.

use crate::base::Bytes;
use crate::engine::command::Outcome;
use crate::engine::dict::Chains;
use crate::engine::keyspace::Slot;
use crate::engine::persist::rdb;
use crate::engine::refusal::{self, Refusal};
use crate::engine::value::{Str, Value};
use crate::engine::{Call, memory};
use crate::resp::Reply;
use std::fmt::Write;

/// The key's slot, untouched by the look.
fn slot<'a>(call: &'a Call) -> Result<&'a Slot, Refusal> {
    call.db_ref().slot(&call.args[2]).ok_or(refusal::NO_SUCH_KEY)
}

pub fn object(call: &mut Call) -> Outcome {
    let (limits, now) = (call.limits(), call.now);
    let slot = slot(call)?;
    let serialized = rdb::dump_value(&slot.value, &limits).len().saturating_sub(11);
    let idle = (now.secs() as u32).saturating_sub(slot.access);
    let mut text = format!(
        "Value at:0x7f0000000000 refcount:1 encoding:{} serializedlength:{serialized} lru:{} lru_seconds_idle:{idle}",
        slot.value.encoding(),
        slot.access & 0xff_ffff,
    );
    if let Value::List(list) = &slot.value
        && list.encoding() == "quicklist"
    {
        let (nodes, bytes) = list.nodes();
        let (average, config) = (list.len() as f64 / nodes as f64, &call.server.config);
        let (most, compressed) = (config.int("list-max-listpack-size"), config.int("list-compress-depth") != 0);
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            " ql_nodes:{nodes} ql_avg_node:{average:.2} ql_listpack_max:{most} ql_compressed:{} \
             ql_uncompressed_size:{bytes}",
            u8::from(compressed),
        );
    }
    Ok(Reply::Status(text.into()))
}

pub fn listpack(call: &mut Call) -> Outcome {
    if slot(call)?.value.encoding() != "listpack" {
        return Err(Refusal::new("ERR Not a listpack encoded object."));
    }
    Ok(Reply::status("Listpack structure printed on stdout"))
}

pub fn quicklist(call: &mut Call) -> Outcome {
    if slot(call)?.value.encoding() != "quicklist" {
        return Err(Refusal::new("ERR Not a quicklist encoded object."));
    }
    Ok(Reply::status("Quicklist structure printed on stdout"))
}

/// SDSLEN. Strings have no spare room here.
pub fn strings(call: &mut Call) -> Outcome {
    let (len, size) = match &slot(call)?.value {
        Value::String(Str::Embstr(text)) => (text.len(), memory::embedded(text.len())),
        Value::String(Str::Raw(text)) => (text.len(), memory::sds(text.len(), false)),
        _ => return Err(Refusal::new("ERR Not an sds encoded string.")),
    };
    let key = call.args[2].len();
    let text = format!(
        "key_sds_len:{key}, key_sds_avail:0, key_zmalloc: {}, val_sds_len:{len}, val_sds_avail:0, val_zmalloc: {size}",
        memory::sds(key, true)
    );
    Ok(Reply::Status(text.into()))
}

/// STRUCTSIZE: of Redis' structures on 64 bits.
pub fn sizes() -> Reply {
    Reply::bulk("bits:64 robj:16 dictentry:24 sdshdr5:1 sdshdr8:3 sdshdr16:5 sdshdr32:9 sdshdr64:17 ")
}

/// HTSTATS: the tables of a database.
pub fn tables(call: &mut Call) -> Outcome {
    let index = call.int(2)?;
    let db = usize::try_from(index).ok().and_then(|index| call.server.dbs.get(index));
    let [keys, expires] = db.ok_or(Refusal::new("ERR Out of range database"))?.chains();
    let full = call.args.len() > 3 && call.is(3, "FULL");
    let text = format!("[Dictionary HT]\n{}[Expires HT]\n{}", described(&keys, full), described(&expires, full));
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

/// HTSTATS-KEY: the table of a hash, a set or a sorted set.
pub fn table_of_key(call: &mut Call) -> Outcome {
    let chains = match &slot(call)?.value {
        Value::Hash(hash) => hash.chains(),
        Value::Set(set) => set.chains(),
        Value::Zset(zset) => zset.chains(),
        _ => None,
    };
    const PACKED: Refusal =
        Refusal::new("ERR The value stored at the specified key is not represented using an hash table");
    let full = call.args.len() > 3 && call.is(3, "FULL");
    Ok(Reply::Verbatim("txt", Bytes::from(described(&chains.ok_or(PACKED)?, full))))
}

fn described(chains: &Chains, full: bool) -> String {
    let Chains { buckets, entries, lengths } = chains;
    let mut text = String::from("Hash table 0 stats (main hash table):\n");
    if *entries == 0 {
        return text + "No stats available for empty dictionaries\n";
    }
    let _ = write!(text, " table size: {buckets}\n number of elements: {entries}\n");
    if full {
        let used = buckets - lengths.first().copied().unwrap_or(0);
        // Counted along the chains and computed from the numbers, which differ only where Redis has a fault.
        let average = *entries as f64 / used as f64;
        let _ = write!(
            text,
            " different slots: {used}\n max chain length: {}\n avg chain length (counted): {average:.2}\n \
             avg chain length (computed): {average:.2}\n Chain length distribution:\n",
            lengths.len() - 1,
        );
        for (length, count) in lengths.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = *count as f64 / *buckets as f64 * 100.0;
            let _ = writeln!(text, "   {length}: {count} ({share:.2}%)");
        }
    }
    text
}

/// CLIENT-EVICTION: how many clients take how much, in classes that double from 32 kB to 4 GB. Without buffers, where nobody
/// tells of them.
pub fn clients(call: &mut Call) -> Outcome {
    const FIRST: u32 = 15;
    const LAST: u32 = 32;
    if call.server.config.client_memory_limit().is_none() {
        return Err(Refusal::new("ERR maxmemory-clients is disabled."));
    }
    let ids: Vec<_> = call.server.clients.values().filter(|client| client.may_be_evicted()).map(|it| it.id).collect();
    let sizes: Vec<u64> = ids.into_iter().map(|id| call.memory_of_client(id)).collect();
    let mut text = String::new();
    for class in FIRST..=LAST + 1 {
        let (from, to) = (if class == FIRST { 0 } else { 1u64 << (class - 1) }, 1u64 << class);
        let last = class == LAST + 1;
        let within: Vec<u64> = sizes.iter().copied().filter(|size| *size >= from && (last || *size < to)).collect();
        let bound = if last { String::from("+            : ") } else { format!(" - {:10}: ", to - 1) };
        let (sum, count) = (within.iter().sum::<u64>(), within.len());
        let _ = writeln!(text, "bucket {from:10}{bound}tot-mem: {sum:10}, clients: {count}");
    }
    Ok(Reply::Verbatim("txt", Bytes::from(text)))
}

#[cfg(test)]
mod tests {
    use crate::engine::testing::{Lab, transcript};
    use crate::resp::Reply;

    #[test]
    fn strings_lists_and_sizes_are_shown_as_redis_shows_them() {
        transcript(
            r#"
            > SET cart:1 hello
            OK
            > DEBUG SDSLEN cart:1
            key_sds_len:6, key_sds_avail:0, key_zmalloc: 8, val_sds_len:5, val_sds_avail:0, val_zmalloc: 16
            > SET n 12
            OK
            > DEBUG SDSLEN n
            (error) ERR Not an sds encoded string.
            > DEBUG SDSLEN none
            (error) ERR no such key
            > RPUSH l a b
            (integer) 2
            > DEBUG LISTPACK l
            Listpack structure printed on stdout
            > DEBUG QUICKLIST l
            (error) ERR Not a quicklist encoded object.
            > CONFIG SET list-max-listpack-size 2
            OK
            > RPUSH l c d e f
            (integer) 6
            > DEBUG QUICKLIST l 1
            Quicklist structure printed on stdout
            > DEBUG LISTPACK l
            (error) ERR Not a listpack encoded object.
            > DEBUG STRUCTSIZE
            "bits:64 robj:16 dictentry:24 sdshdr5:1 sdshdr8:3 sdshdr16:5 sdshdr32:9 sdshdr64:17 "
            > DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
            (error) ERR argument must be a memory value bigger than 1 and smaller than 4gb
            > DEBUG QUICKLIST-PACKED-THRESHOLD x
            (error) ERR argument must be a memory value bigger than 1 and smaller than 4gb
            > DEBUG QUICKLIST-PACKED-THRESHOLD 100b
            OK
            > DEBUG CLIENT-EVICTION
            (error) ERR maxmemory-clients is disabled.
            > DEBUG REPLYBUFFER size 1
            (error) ERR unknown subcommand or wrong number of arguments for 'REPLYBUFFER'. Try DEBUG HELP.
            > DEBUG MALLCTL
            (error) ERR unknown subcommand or wrong number of arguments for 'MALLCTL'. Try DEBUG HELP.
            "#,
        );
    }

    #[test]
    fn tables_are_counted_bucket_by_bucket() {
        let mut lab = Lab::new(1);
        let text = |reply: Reply| match reply {
            Reply::Bulk(text) | Reply::Verbatim(_, text) => text.lossy().into_owned(),
            other => panic!("{other:?}"),
        };
        for number in 0..5 {
            lab.ask(&["SET", &format!("cart:{number}"), "x"]);
        }
        let short = "[Dictionary HT]\nHash table 0 stats (main hash table):\n table size: 8\n number of elements: 5\n\
                     [Expires HT]\nHash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n";
        assert_eq!(text(lab.ask(&["DEBUG", "HTSTATS", "0"])), short);
        let full = text(lab.ask(&["DEBUG", "HTSTATS", "0", "full"]));
        let shares = full.lines().filter_map(|line| line.strip_prefix("   ")?.split_once(": ")?.1.split_once(' '));
        let buckets: usize = shares.map(|(count, _)| count.parse::<usize>().expect("a count")).sum();
        assert_eq!(buckets, 8, "{full}");
        assert!(full.contains(" Chain length distribution:\n"), "{full}");
        lab.ask(&["SADD", "tags", "a", "b"]);
        let packed = "ERR The value stored at the specified key is not represented using an hash table";
        assert_eq!(lab.ask(&["DEBUG", "HTSTATS-KEY", "tags"]), Reply::error(packed));
        lab.ask(&["CONFIG", "SET", "set-max-listpack-entries", "1"]);
        lab.ask(&["SADD", "tags", "c"]);
        let table = "Hash table 0 stats (main hash table):\n table size: 4\n number of elements: 3\n";
        assert_eq!(text(lab.ask(&["DEBUG", "HTSTATS-KEY", "tags"])), table);
    }

    #[test]
    fn a_payload_with_a_wrong_checksum_is_taken_where_nobody_looks_at_it() {
        transcript(
            r#"
            > RESTORE n 0 "\x00\xc0\x0c\n\x00xxxxxxxx"
            (error) ERR DUMP payload version or checksum are wrong
            > DEBUG SET-SKIP-CHECKSUM-VALIDATION 1
            OK
            > RESTORE n 0 "\x00\xc0\x0c\n\x00xxxxxxxx"
            OK
            > GET n
            "12"
            "#,
        );
    }

    #[test]
    fn clients_are_weighed_in_classes_that_double() {
        let mut lab = Lab::new(1);
        lab.ask(&["CONFIG", "SET", "maxmemory-clients", "1gb"]);
        let (Reply::Bulk(text) | Reply::Verbatim(_, text)) = lab.ask(&["DEBUG", "CLIENT-EVICTION"]) else { panic!() };
        let text = text.lossy();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 19);
        assert!(
            lines[0].starts_with("bucket          0 -      32767: tot-mem: ") && lines[0].ends_with(", clients: 1")
        );
        assert_eq!(lines[1], "bucket      32768 -      65535: tot-mem:          0, clients: 0");
        assert_eq!(lines[18], "bucket 4294967296+            : tot-mem:          0, clients: 0");
    }
}
