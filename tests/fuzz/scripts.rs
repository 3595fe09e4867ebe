//! The libraries that scripts find beside Lua's own: cjson, cmsgpack, struct, bit; and what a reply becomes on its way.

use crate::harness::{Target, Went, fuzz, went};
use crate::machine::Machine;
use redlab::resp::Reply;
use std::cell::RefCell;

/// Runs `code` with these arguments.
fn run<'a>(code: &'a str, args: impl IntoIterator<Item = &'a [u8]>) -> Went {
    thread_local! {
        static MACHINE: RefCell<Machine> = RefCell::new(Machine::new(""));
    }
    let mut words: Vec<&[u8]> = vec![b"EVAL", code.as_bytes(), b"0"];
    words.extend(args);
    let reply = MACHINE.with_borrow_mut(|machine| machine.ask(&words));
    assert!(!matches!(reply, Reply::None));
    let text: String = format!("{reply:?}").chars().filter(|letter| !letter.is_ascii_digit()).take(60).collect();
    went(matches!(reply, Reply::Array(_)), text)
}

fn json(input: &[u8]) -> Went {
    run(
        "local ok, value = pcall(cjson.decode, ARGV[1])
        if not ok then return value end
        local ok, text = pcall(cjson.encode, value)
        if not ok then return text end
        local again = cjson.encode(cjson.decode(text))
        if type(value) ~= 'table' and again ~= text then error('other text: ' .. text .. ' ' .. again) end
        return {type(value), text}",
        [input],
    )
}

#[test]
fn json_of_any_bytes() {
    let seeds = || {
        [
            "{\"a\":[1,2.5,-3e10,true,false,null],\"b\":{}}",
            "[]",
            "\"\\u00e9\\n\\ud83d\\ude00\"",
            "[[[[[[1]]]]]]",
            "123456789012345678901234567890",
            "nan",
            "0x10",
            "{\"1\":1,\"2\":2}",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    };
    let words = &[
        "{", "}", "[", "]", ",", ":", "\"", "\\u", "\\ud800", "null", "true", "1e999", "-", "[[[[[[[[", "{\"a\":",
        "inf",
    ];
    fuzz(&Target { name: "json", seeds, words, run: json });
}

fn pack(input: &[u8]) -> Went {
    run(
        "local ok, value = pcall(cmsgpack.unpack, ARGV[1])
        if not ok then return value end
        local ok, text = pcall(cmsgpack.pack, value)
        if not ok then return text end
        pcall(cmsgpack.unpack_limit, ARGV[1], 2, 0)
        pcall(cmsgpack.unpack_one, ARGV[1], #ARGV[1] - 1)
        cmsgpack.unpack(text)
        return {type(value), (text:gsub('[%z\\1-\\127]', ''))}",
        // Every byte may be a value: longer ones are many of them.
        [&input[..input.len().min(if input.len().is_multiple_of(16) { 1024 } else { 80 })]],
    )
}

#[test]
fn message_packs_of_any_bytes() {
    let seeds = || {
        vec![
            b"\x93\x01\xa1a\x81\xa1b\xcb\x40\x04\x00\x00\x00\x00\x00\x00".to_vec(),
            b"\xdc\x00\x02\xc0\xc3\xd9\x01x\xda\x00\x01y\xdb\x00\x00\x00\x01z".to_vec(),
            b"\xdf\x00\x00\x00\x01\x01\x02\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xcf\xff\xff\xff\xff\xff\xff\xff\xff"
                .to_vec(),
            b"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01".to_vec(),
        ]
    };
    let words = &["\u{1}", "a", "\u{7f}", "\0"];
    fuzz(&Target { name: "msgpack", seeds, words, run: pack });
}

fn structs(input: &[u8]) -> Went {
    run(
        "local format, data, n = ARGV[1], ARGV[2] or '', tonumber(ARGV[3]) or 1
        local ok, size = pcall(struct.size, format)
        local found = {pcall(struct.unpack, format, data, n)}
        local packed = {pcall(struct.pack, format, n, data, n, data, n, data)}
        if found[1] then pcall(struct.pack, format, unpack(found, 2)) end
        pcall(bit.lshift, n, #data); pcall(bit.tohex, n, n); pcall(bit.bswap, n); pcall(bit.arshift, n, n)
        return {tostring(ok), tostring(size), tostring(found[1]), tostring(packed[2])}",
        input.splitn(3, |byte| *byte == 0),
    )
}

#[test]
fn structs_of_any_bytes() {
    let seeds = || {
        vec![
            b">I4i2bBhHlLfd\x00abcdefghijklmnopqrstuvwxyz0123456789abcdef\x003".to_vec(),
            b"s\x00hello\x001".to_vec(),
            b"!8c0c5xI3<T=\x00\x05hello\x002".to_vec(),
            b"i16\x0012345678901234567890\x00-1".to_vec(),
        ]
    };
    let words = &[
        "i",
        "I",
        "c0",
        "s",
        "!16",
        ">",
        "<",
        "=",
        "x",
        "99999999999",
        "2147483647",
        "-1",
        "f",
        "d",
        " ",
        "4294967296",
    ];
    fuzz(&Target { name: "struct", seeds, words, run: structs });
}
