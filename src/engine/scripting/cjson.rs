//! The library `cjson`: JSON, as lua-cjson 2.1.0 writes and reads it.

use super::api::{Ended, Native, Thrown, function};
use super::args::{self, placed, type_of};
use super::convert;
use super::running::Running;
use mlua::{LightUserData, Lua, MultiValue, Table, Value};
use std::rc::Rc;

/// What a script can set; it stays set for the scripts that follow.
#[derive(Clone, Copy, Debug)]
struct Settings {
    sparse_convert: bool,
    sparse_ratio: i32,
    sparse_safe: i32,
    encode_depth: i32,
    decode_depth: i32,
    /// 0: NaN and infinity are errors; 1: they are written; 2: they become null.
    encode_invalid: u8,
    decode_invalid: bool,
    keep_buffer: bool,
    precision: i32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            encode_invalid: 0,
            decode_invalid: true,
            keep_buffer: true,
            precision: 14,
        }
    }
}

/// Deeper than this Lua's stack does not reach in the original, whatever the settings say.
const STACK_DEPTH: i32 = 2600;

pub fn table(lua: &Lua, running: &Rc<Running>) -> mlua::Result<Table> {
    lua.set_app_data(Settings::default());
    let functions: [(&str, Native); 9] = [
        ("encode", encode),
        ("decode", decode),
        ("encode_sparse_array", |lua, _, args| {
            at_most(&args, 3)?;
            Ok(vec![
                flag(lua, &args, |it| &mut it.sparse_convert)?,
                number(lua, &args, 2, 0, i32::MAX, |it| &mut it.sparse_ratio)?,
                number(lua, &args, 3, 0, i32::MAX, |it| &mut it.sparse_safe)?,
            ])
        }),
        ("encode_max_depth", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, i32::MAX, |it| &mut it.encode_depth)?])
        }),
        ("decode_max_depth", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, i32::MAX, |it| &mut it.decode_depth)?])
        }),
        ("encode_number_precision", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![number(lua, &args, 1, 1, 14, |it| &mut it.precision)?])
        }),
        ("encode_keep_buffer", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![flag(lua, &args, |it| &mut it.keep_buffer)?])
        }),
        ("decode_invalid_numbers", |lua, _, args| {
            at_most(&args, 1)?;
            Ok(vec![flag(lua, &args, |it| &mut it.decode_invalid)?])
        }),
        ("encode_invalid_numbers", encode_invalid_numbers),
    ];
    let table = lua.create_table()?;
    for (name, act) in functions {
        table.raw_set(name, function(lua, running, act)?)?;
    }
    let shared = Rc::clone(running);
    table.raw_set("new", lua.create_function(move |lua, ()| self::table(lua, &shared))?)?;
    table.raw_set("null", LightUserData(std::ptr::null_mut()))?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    Ok(table)
}

fn settings(lua: &Lua) -> Settings {
    lua.app_data_ref::<Settings>().map_or_else(Settings::default, |it| *it)
}

fn change<R>(lua: &Lua, act: impl FnOnce(&mut Settings) -> R) -> R {
    let mut settings = settings(lua);
    let result = act(&mut settings);
    lua.set_app_data(settings);
    result
}

fn at_most(args: &MultiValue, most: usize) -> Result<(), Thrown> {
    if args.len() > most {
        return Err(Thrown::Argument(most + 1, String::from("found too many arguments")));
    }
    Ok(())
}

/// Reads, after setting it if there is an argument, a whole number between `least` and `most`.
fn number(
    lua: &Lua,
    args: &MultiValue,
    at: usize,
    least: i32,
    most: i32,
    field: fn(&mut Settings) -> &mut i32,
) -> Result<Value, Thrown> {
    if !matches!(args.get(at - 1), None | Some(Value::Nil)) {
        let value = args::integer(lua, args, at)? as i32;
        if !(least..=most).contains(&value) {
            return Err(Thrown::Argument(1, format!("expected integer between {least} and {most}")));
        }
        change(lua, |it| *field(it) = value);
    }
    Ok(Value::Number(f64::from(change(lua, |it| *field(it)))))
}

/// The index of a word among `options`, or of a boolean.
fn option(args: &MultiValue, options: &[&str]) -> Result<Option<usize>, Thrown> {
    match args.front() {
        None | Some(Value::Nil) => Ok(None),
        Some(Value::Boolean(yes)) => Ok(Some(usize::from(*yes))),
        Some(_) => {
            let word = args::text(args, 1)?;
            let found = options.iter().position(|option| option.as_bytes() == word);
            let unknown = || Thrown::Argument(1, format!("invalid option '{}'", String::from_utf8_lossy(&word)));
            found.ok_or_else(unknown).map(Some)
        }
    }
}

fn flag(lua: &Lua, args: &MultiValue, field: fn(&mut Settings) -> &mut bool) -> Result<Value, Thrown> {
    if let Some(index) = option(args, &["off", "on"])? {
        change(lua, |it| *field(it) = index == 1);
    }
    Ok(Value::Boolean(change(lua, |it| *field(it))))
}

fn encode_invalid_numbers(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    at_most(&args, 1)?;
    if let Some(index) = option(&args, &["off", "on", "null"])? {
        change(lua, |it| it.encode_invalid = index as u8);
    }
    Ok(vec![match settings(lua).encode_invalid {
        2 => Value::String(lua.create_string("null")?),
        on => Value::Boolean(on == 1),
    }])
}

// -- writing ---------------------------------------------------------------------------------------------------------

fn only(args: &MultiValue) -> Result<&Value, Thrown> {
    match args.len() {
        1 => Ok(&args[0]),
        _ => Err(Thrown::Argument(1, String::from("expected 1 argument"))),
    }
}

fn encode(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    let mut writer = Writer { out: Vec::new(), settings: settings(lua) };
    writer.value(only(&args)?, 0)?;
    Ok(vec![Value::String(lua.create_string(writer.out)?)])
}

struct Writer {
    out: Vec<u8>,
    settings: Settings,
}

fn cannot<T>(value: &Value, why: &str) -> Result<T, Thrown> {
    placed(format!("Cannot serialise {}: {why}", type_of(Some(value))))
}

impl Writer {
    fn value(&mut self, value: &Value, depth: i32) -> Result<(), Thrown> {
        match value {
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Integer(_) | Value::Number(_) => self.number(value)?,
            Value::Boolean(yes) => self.out.extend_from_slice(if *yes { b"true" } else { b"false" }),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(it) if it.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => self.table(table, depth + 1)?,
            value => return cannot(value, "type not supported"),
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for byte in text {
            match byte {
                b'"' | b'\\' | b'/' => self.out.extend([b'\\', *byte]),
                8 => self.out.extend_from_slice(b"\\b"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                12 => self.out.extend_from_slice(b"\\f"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                0..32 | 127 => self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                byte => self.out.push(*byte),
            }
        }
        self.out.push(b'"');
    }

    fn number(&mut self, value: &Value) -> Result<(), Thrown> {
        let number = match value {
            Value::Integer(n) => *n as f64,
            Value::Number(n) => *n,
            _ => f64::NAN,
        };
        if !number.is_finite() {
            match self.settings.encode_invalid {
                0 => return cannot(value, "must not be NaN or Inf"),
                1 if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                1 => {}
                _ => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
            }
        }
        let text = convert::general(number, self.settings.precision as usize);
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: i32) -> Result<(), Thrown> {
        if depth > self.settings.encode_depth.min(STACK_DEPTH) {
            return placed(format!("Cannot serialise, excessive nesting ({depth})"));
        }
        match self.array_len(table)? {
            Some(len) if len > 0 => {
                self.out.push(b'[');
                for index in 1..=len {
                    if index > 1 {
                        self.out.push(b',');
                    }
                    self.value(&table.raw_get(index)?, depth)?;
                }
                self.out.push(b']');
            }
            _ => self.object(table, depth)?,
        }
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: i32) -> Result<(), Thrown> {
        self.out.push(b'{');
        for (index, pair) in table.pairs::<Value, Value>().enumerate() {
            let (key, value) = pair?;
            if index > 0 {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.text(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    self.number(&key)?;
                    self.out.push(b'"');
                }
                key => return cannot(key, "table key must be a number or string"),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The highest index of a table that has only indices; None: it is an object.
    fn array_len(&self, table: &Table) -> Result<Option<i64>, Thrown> {
        let (mut most, mut items) = (0i64, 0i64);
        for pair in table.pairs::<Value, Value>() {
            let index = match pair?.0 {
                Value::Integer(n) if n >= 1 => n,
                // A double that no integer holds: as in C, it becomes the least int.
                Value::Number(n) if n >= 1.0 && n.floor() == n => i64::from(i32::MIN),
                _ => return Ok(None),
            };
            most = most.max(index);
            items += 1;
        }
        let Settings { sparse_ratio, sparse_safe, sparse_convert, .. } = self.settings;
        if sparse_ratio > 0 && most > items * i64::from(sparse_ratio) && most > i64::from(sparse_safe) {
            if !sparse_convert {
                return placed("Cannot serialise table: excessively sparse array");
            }
            return Ok(None);
        }
        Ok(Some(most))
    }
}

// -- reading ---------------------------------------------------------------------------------------------------------

fn decode(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
    only(&args)?;
    let data = args::text(&args, 1)?;
    if data.len() >= 2 && (data[0] == 0 || data[1] == 0) {
        return placed("JSON parser does not support UTF-16 or UTF-32");
    }
    let mut parser = Parser { data: &data, at: 0, settings: settings(lua) };
    let value = parser.document(lua)?;
    Ok(vec![value])
}

enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Text(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::Text(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Error(what) => what,
        }
    }
}

/// A collection that has begun and not ended.
struct Open {
    table: Table,
    /// The key whose value comes next; None in an array.
    key: Option<Value>,
    next_index: usize,
}

struct Parser<'a> {
    data: &'a [u8],
    at: usize,
    settings: Settings,
}

impl Parser<'_> {
    /// The whole text as one value. Collections are kept on a stack of our own: how deep they go is up to the text.
    fn document(&mut self, lua: &Lua) -> Result<Value, Thrown> {
        let mut open: Vec<Open> = Vec::new();
        let (mut token, mut start) = self.next();
        loop {
            let mut done = match token {
                Token::Text(text) => Value::String(lua.create_string(text)?),
                Token::Number(n) => Value::Number(n),
                Token::Boolean(yes) => Value::Boolean(yes),
                Token::Null => Value::LightUserData(LightUserData(std::ptr::null_mut())),
                Token::ArrayBegin => {
                    self.descend(open.len())?;
                    let table = lua.create_table()?;
                    let first = self.next();
                    if matches!(first.0, Token::ArrayEnd) {
                        Value::Table(table)
                    } else {
                        open.push(Open { table, key: None, next_index: 1 });
                        (token, start) = first;
                        continue;
                    }
                }
                Token::ObjectBegin => {
                    self.descend(open.len())?;
                    let table = lua.create_table()?;
                    let first = self.next();
                    if matches!(first.0, Token::ObjectEnd) {
                        Value::Table(table)
                    } else {
                        let key = Some(self.key(lua, first)?);
                        open.push(Open { table, key, next_index: 1 });
                        (token, start) = self.next();
                        continue;
                    }
                }
                token => return unexpected("value", &token, start),
            };
            // Puts what is done where it belongs; a collection that ends with it is done in turn.
            loop {
                let Some(outer) = open.last_mut() else {
                    let (token, start) = self.next();
                    return if matches!(token, Token::End) { Ok(done) } else { unexpected("the end", &token, start) };
                };
                let is_object = outer.key.is_some();
                match outer.key.take() {
                    Some(key) => outer.table.raw_set(key, done)?,
                    None => outer.table.raw_set(outer.next_index, done)?,
                }
                outer.next_index += 1;
                let (after, place) = self.next();
                match (&after, is_object) {
                    (Token::Comma, true) => {
                        let key = self.next();
                        let key = self.key(lua, key)?;
                        open.last_mut().expect("looked at above").key = Some(key);
                    }
                    (Token::Comma, false) => {}
                    (Token::ObjectEnd, true) | (Token::ArrayEnd, false) => {
                        done = Value::Table(open.pop().expect("looked at above").table);
                        continue;
                    }
                    (_, true) => return unexpected("comma or object end", &after, place),
                    (_, false) => return unexpected("comma or array end", &after, place),
                }
                break;
            }
            (token, start) = self.next();
        }
    }

    /// A key and the colon behind it.
    fn key(&mut self, lua: &Lua, (token, start): (Token, usize)) -> Result<Value, Thrown> {
        let Token::Text(text) = token else { return unexpected("object key string", &token, start) };
        let key = Value::String(lua.create_string(text)?);
        let (colon, start) = self.next();
        if matches!(colon, Token::Colon) { Ok(key) } else { unexpected("colon", &colon, start) }
    }

    fn descend(&self, depth: usize) -> Result<(), Thrown> {
        let depth = depth as i32 + 1;
        if depth > self.settings.decode_depth.min(STACK_DEPTH) {
            return placed(format!("Found too many nested data structures ({depth}) at character {}", self.at));
        }
        Ok(())
    }

    /// As in C text, a zero stands behind the end.
    fn byte(&self, at: usize) -> u8 {
        self.data.get(at).copied().unwrap_or(0)
    }

    /// The next token and where it begins; of a faulty one, where the fault is.
    fn next(&mut self) -> (Token, usize) {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        let start = self.at;
        let token = self.token();
        let place = if matches!(token, Token::Error(_)) { self.at } else { start };
        (token, place)
    }

    fn token(&mut self) -> Token {
        let single = match self.byte(self.at) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            b'"' => return self.text().unwrap_or_else(Token::Error),
            b'-' | b'0'..=b'9' => {
                if !self.settings.decode_invalid && self.is_invalid_number() {
                    return Token::Error("invalid number");
                }
                return self.number();
            }
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word(),
            _ => return Token::Error("invalid token"),
        };
        self.at += 1;
        single
    }

    fn word(&mut self) -> Token {
        let rest = &self.data[self.at..];
        for (word, token) in [("true", Token::Boolean(true)), ("false", Token::Boolean(false)), ("null", Token::Null)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        if self.settings.decode_invalid && self.is_invalid_number() {
            return self.number();
        }
        Token::Error("invalid token")
    }

    /// What strtod would read and JSON does not allow.
    fn is_invalid_number(&self) -> bool {
        let mut at = self.at;
        if self.byte(at) == b'+' {
            return true;
        }
        if self.byte(at) == b'-' {
            at += 1;
        }
        if self.byte(at) == b'0' {
            return self.byte(at + 1) | 0x20 == b'x' || self.byte(at + 1).is_ascii_digit();
        }
        if self.byte(at) <= b'9' {
            return false;
        }
        let rest = self.data.get(at..at + 3).unwrap_or_default();
        rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"nan")
    }

    fn number(&mut self) -> Token {
        match strtod(&self.data[self.at..]) {
            Some((number, len)) => {
                self.at += len;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    /// Text in quotes. Err leaves `at` at the fault.
    fn text(&mut self) -> Result<Token, &'static str> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.byte(self.at) {
                b'"' => break,
                0 => return Err("unexpected end of string"),
                b'\\' => {
                    let plain = match self.byte(self.at + 1) {
                        b'u' => {
                            self.unicode(&mut text).ok_or("invalid unicode escape code")?;
                            continue;
                        }
                        byte @ (b'"' | b'\\' | b'/') => byte,
                        b'b' => 8,
                        b't' => b'\t',
                        b'n' => b'\n',
                        b'f' => 12,
                        b'r' => b'\r',
                        _ => return Err("invalid escape code"),
                    };
                    text.push(plain);
                    self.at += 2;
                }
                byte => {
                    text.push(byte);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(Token::Text(text))
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        (at..at + 4).try_fold(0, |code, at| Some(code << 4 | char::from(self.byte(at)).to_digit(16)?))
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let mut code = self.hex4(self.at + 2)?;
        let mut len = 6;
        if code & 0xf800 == 0xd800 {
            if code & 0x400 != 0 || self.byte(self.at + 6) != b'\\' || self.byte(self.at + 7) != b'u' {
                return None;
            }
            let low = self.hex4(self.at + 8)?;
            if low & 0xfc00 != 0xdc00 {
                return None;
            }
            code = ((code & 0x3ff) << 10 | low & 0x3ff) + 0x1_0000;
            len = 12;
        }
        let letter = char::from_u32(code)?;
        text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        self.at += len;
        Some(())
    }
}

fn unexpected<T>(wanted: &str, found: &Token, at: usize) -> Result<T, Thrown> {
    placed(format!("Expected {wanted} but found {} at character {}", found.name(), at + 1))
}

/// The number at the beginning of `text`, as C's strtod reads it, and how long it is.
fn strtod(text: &[u8]) -> Option<(f64, usize)> {
    let byte = |at: usize| text.get(at).copied().unwrap_or(0);
    let mut at = usize::from(matches!(byte(0), b'+' | b'-'));
    let sign = if byte(0) == b'-' { -1.0 } else { 1.0 };
    let rest = &text[at..];
    let begins = |word: &[u8]| rest.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word));
    if begins(b"infinity") {
        return Some((sign * f64::INFINITY, at + 8));
    }
    if begins(b"inf") {
        return Some((sign * f64::INFINITY, at + 3));
    }
    if begins(b"nan") {
        return Some((f64::NAN.copysign(sign), at + 3));
    }
    if begins(b"0x")
        && let Some((number, len)) = hexadecimal(&rest[2..])
    {
        return Some((sign * number, at + 2 + len));
    }
    let digits = |mut at: usize| {
        while byte(at).is_ascii_digit() {
            at += 1;
        }
        at
    };
    let whole = at;
    at = digits(at);
    let mut count = at - whole;
    if byte(at) == b'.' {
        let end = digits(at + 1);
        count += end - at - 1;
        at = end;
    }
    if count == 0 {
        return None;
    }
    if byte(at) | 0x20 == b'e' {
        let sign = usize::from(matches!(byte(at + 1), b'+' | b'-'));
        let end = digits(at + 1 + sign);
        if end > at + 1 + sign {
            at = end;
        }
    }
    std::str::from_utf8(&text[..at]).ok()?.parse().ok().map(|number| (number, at))
}

/// Hexadecimal digits with a point and a binary exponent, behind `0x`.
fn hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let (mut number, mut scale, mut at, mut seen, mut point) = (0.0f64, 0i32, 0, false, false);
    while let Some(byte) = text.get(at) {
        if *byte == b'.' && !point {
            point = true;
        } else if let Some(digit) = char::from(*byte).to_digit(16) {
            number = number * 16.0 + f64::from(digit);
            seen = true;
            scale -= if point { 4 } else { 0 };
        } else {
            break;
        }
        at += 1;
    }
    if !seen {
        return None;
    }
    if text.get(at).is_some_and(|byte| byte | 0x20 == b'p') {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let digits = text[at + 1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            let end = at + 1 + sign + digits;
            let exponent = std::str::from_utf8(&text[at + 1..end]).ok()?.parse::<i32>().unwrap_or(i32::MAX / 2);
            scale = scale.saturating_add(exponent);
            at = end;
        }
    }
    Some((number * 2f64.powi(scale), at))
}
