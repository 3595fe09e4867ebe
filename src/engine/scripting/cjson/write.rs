//! `cjson.encode`: a Lua value as JSON text.

use super::super::api::{Ended, Thrown};
use super::super::args::{placed, type_of};
use super::super::convert;
use super::super::running::Running;
use super::{STACK_DEPTH, Settings, only, settings};
use mlua::{Lua, MultiValue, Table, Value};

pub fn encode(lua: &Lua, _: &Running, args: MultiValue) -> Ended {
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
