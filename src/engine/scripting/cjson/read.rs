//! `cjson.decode`: JSON text as Lua values.

use super::super::api::{Ended, Thrown};
use super::super::args::{self, placed};
use super::super::running::Running;
use super::{STACK_DEPTH, Settings, only, settings};
use mlua::{LightUserData, Lua, MultiValue, Table, Value};

pub fn decode(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
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
