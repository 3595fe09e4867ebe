//! From the words behind a parameter to its value, as CONFIG GET shows it, or to the reason why not.

use super::table::{Kind, MULTI, Parameter};
use crate::base::Bytes;
use crate::engine::notify;
use crate::engine::value::string::parse_int;

const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// The canonical text of `words` for `parameter`; `old` is its present value, which partial settings keep parts of.
/// Err: the reason, in Redis' words.
pub fn parse(parameter: &Parameter, words: &[Bytes], old: &Bytes) -> Result<Bytes, String> {
    let word = match words {
        [word] => word,
        _ if parameter.flags.has(MULTI) => &Bytes::new(),
        _ => return Err(String::from("wrong number of arguments")),
    };
    match parameter.kind {
        Kind::YesNo => yes_no(word),
        Kind::Text | Kind::OptionalText | Kind::Dir => text(parameter.name, word),
        Kind::Choice(choices) => choice(parameter, choices, words),
        Kind::Int(min, max) => int(word, min, max),
        Kind::Memory(min, max) => memory(word, min, max),
        Kind::MemoryOrPercent(min, max) => memory_or_percent(word, min, max),
        Kind::Octal(min, max) => octal(word, min, max),
        Kind::Save => save(words),
        Kind::OutputLimits => output_limits(words, old),
        Kind::OomValues => oom_values(words),
        Kind::Events => events(word),
        Kind::Bind => bind(words),
        Kind::ReplicaOf => replica_of(words),
        Kind::Percentiles => percentiles(words),
    }
}

fn yes_no(word: &[u8]) -> Result<Bytes, String> {
    let answer = ["yes", "no"].into_iter().find(|it| word.eq_ignore_ascii_case(it.as_bytes()));
    answer.map(Bytes::from).ok_or_else(|| String::from("argument must be 'yes' or 'no'"))
}

fn text(name: &str, word: &Bytes) -> Result<Bytes, String> {
    let is_path = word.iter().any(|byte| matches!(byte, b'/' | b'\\'));
    let fault = match name {
        "dbfilename" if is_path => "dbfilename can't be a path, just a filename",
        "appendfilename" if word.is_empty() => "appendfilename can't be empty",
        "appendfilename" if is_path => "appendfilename can't be a path, just a filename",
        "appenddirname" if word.is_empty() => "appenddirname can't be empty",
        "appenddirname" if is_path => "appenddirname can't be a path, just a dirname",
        "cluster-announce-hostname" if word.len() >= 256 => "Hostnames must be less than 256 characters",
        "cluster-announce-hostname" if !word.iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b)) => {
            "Hostnames may only contain alphanumeric characters, hyphens or dots"
        }
        "cluster-announce-human-nodename"
            if !word.iter().all(|b| b.is_ascii_alphanumeric() || !b"!#$%&()*+:;<>?@[]^{|}~\0".contains(b)) =>
        {
            "Announced human node name contained invalid character"
        }
        _ => return Ok(word.clone()),
    };
    Err(fault.to_owned())
}

fn choice(parameter: &Parameter, choices: &[&'static str], words: &[Bytes]) -> Result<Bytes, String> {
    let known: Option<Vec<&str>> =
        words.iter().map(|word| choices.iter().copied().find(|it| word.eq_ignore_ascii_case(it.as_bytes()))).collect();
    let known = known.filter(|known| !known.is_empty());
    let Some(known) = known else {
        let mut text = format!("argument(s) must be one of the following: {}", choices.join(", "));
        text.truncate(255);
        return Err(text);
    };
    if !parameter.flags.has(MULTI) {
        // `yes` and `relative` of oom-score-adj are the same; the first name is shown.
        return Ok(Bytes::from(if known[0] == "relative" { "yes" } else { known[0] }));
    }
    if known.contains(&"save") && known.contains(&"nosave") {
        return Err(String::from("shutdown options SAVE and NOSAVE can't be used simultaneously"));
    }
    let shown: Vec<&str> = choices.iter().copied().filter(|it| *it != "default" && known.contains(it)).collect();
    Ok(if shown.is_empty() { Bytes::from("default") } else { Bytes::from(shown.join(" ")) })
}

fn bounded(number: i128, min: i128, max: i128) -> Result<i128, String> {
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive"))
    }
}

fn int(word: &[u8], min: i128, max: i128) -> Result<Bytes, String> {
    let number = parse_int(word).ok_or_else(|| String::from("argument couldn't be parsed into an integer"))?;
    bounded(number.into(), min, max).map(|number| Bytes::from(number.to_string()))
}

fn octal(word: &[u8], min: i128, max: i128) -> Result<Bytes, String> {
    let number = std::str::from_utf8(word).ok().and_then(|word| i64::from_str_radix(word, 8).ok());
    let number = number.ok_or_else(|| String::from("argument couldn't be parsed as an octal number"))?;
    match bounded(number.into(), min, max) {
        Ok(number) => Ok(Bytes::from(format!("{number:o}"))),
        Err(_) => Err(format!("argument must be between {min:o} and {max:o} inclusive")),
    }
}

fn memory(word: &[u8], min: i128, max: i128) -> Result<Bytes, String> {
    let bytes = bytes_of(word).ok_or_else(|| String::from("argument must be a memory value"))?;
    bounded(bytes.into(), min, max).map(|number| Bytes::from(number.to_string()))
}

fn memory_or_percent(word: &[u8], min: i128, max: i128) -> Result<Bytes, String> {
    if let Some(bytes) = bytes_of(word) {
        return bounded(bytes.into(), min, max).map(|number| Bytes::from(number.to_string()));
    }
    let percent = word.strip_suffix(b"%").and_then(parse_int).filter(|percent| *percent >= 0);
    let percent = percent.ok_or_else(|| String::from("argument must be a memory or percent value"))?;
    if i128::from(-percent) < min {
        return Err(format!("percentage argument must be less or equal to {}", -min));
    }
    Ok(Bytes::from(format!("{percent}%")))
}

/// `100`, `5k` (1000), `5kb` (1024), `1GB`: bytes. None: not such a text.
pub fn bytes_of(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let factor: u64 = match word[digits..].to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let digits = &word[..digits];
    let number = digits.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(number.wrapping_mul(factor))
}

/// strtoll(3), the whole of the word: blanks and a sign may stand before the digits.
fn c_int(word: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(word).ok()?.trim_start();
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

fn save(words: &[Bytes]) -> Result<Bytes, String> {
    let words = if matches!(words, [one] if one.is_empty()) { &[] } else { words };
    let numbers: Option<Vec<i64>> = words.iter().map(|word| c_int(word)).collect();
    let valid = |numbers: &Vec<i64>| {
        numbers.len().is_multiple_of(2)
            && numbers.iter().enumerate().all(|(at, n)| *n >= if at % 2 == 0 { 1 } else { 0 })
    };
    let numbers = numbers.filter(valid).ok_or_else(|| String::from("Invalid save parameters"))?;
    Ok(Bytes::from(numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(" ")))
}

fn output_limits(words: &[Bytes], old: &Bytes) -> Result<Bytes, String> {
    if matches!(words, [one] if one.is_empty()) {
        return Ok(old.clone());
    }
    if !words.len().is_multiple_of(4) {
        return Err(String::from("Wrong number of arguments in buffer limit configuration."));
    }
    let old = old.lossy();
    let mut limits: Vec<String> = old.split(' ').map(str::to_owned).collect();
    for word in words.chunks_exact(4) {
        let name = word[0].to_ascii_lowercase();
        let name = if name == b"replica" { "slave".as_bytes() } else { &name };
        let class = CLASSES.iter().position(|it| it.as_bytes() == name);
        let class =
            class.ok_or_else(|| String::from("Invalid client class specified in buffer limit configuration."))?;
        let numbers = (bytes_of(&word[1]), bytes_of(&word[2]), c_int(&word[3]).filter(|n| *n >= 0));
        let (Some(hard), Some(soft), Some(seconds)) = numbers else {
            return Err(String::from("Error in hard, soft or soft_seconds setting in buffer limit configuration."));
        };
        for (offset, number) in [hard.to_string(), soft.to_string(), seconds.to_string()].into_iter().enumerate() {
            limits[class * 4 + 1 + offset] = number;
        }
    }
    Ok(Bytes::from(limits.join(" ")))
}

fn oom_values(words: &[Bytes]) -> Result<Bytes, String> {
    if words.len() != 3 {
        return Err(String::from("wrong number of arguments"));
    }
    let numbers: Option<Vec<String>> =
        words.iter().map(|word| c_int(word).filter(|n| (-2000..=2000).contains(n)).map(|n| n.to_string())).collect();
    let numbers = numbers
        .ok_or_else(|| String::from("Invalid oom-score-adj-values, elements must be between -2000 and 2000."))?;
    Ok(Bytes::from(numbers.join(" ")))
}

fn events(word: &[u8]) -> Result<Bytes, String> {
    let classes = notify::parse(word);
    classes
        .map(|classes| Bytes::from(notify::letters(classes)))
        .ok_or_else(|| String::from("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."))
}

fn bind(words: &[Bytes]) -> Result<Bytes, String> {
    if words.len() > 16 {
        return Err(String::from("Too many bind addresses specified."));
    }
    Ok(Bytes::from(words.join(&b' ')))
}

fn replica_of(words: &[Bytes]) -> Result<Bytes, String> {
    let [host, port] = words else { return Err(String::from("wrong number of arguments")) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(Bytes::new());
    }
    let port = c_int(port).filter(|port| (0..=65_535).contains(port));
    let port = port.ok_or_else(|| String::from("Invalid master port"))?;
    Ok(Bytes::from(format!("{} {port}", host.lossy())))
}

fn percentiles(words: &[Bytes]) -> Result<Bytes, String> {
    let words = if matches!(words, [one] if one.is_empty()) { &[] } else { words };
    let mut shown = Vec::new();
    for word in words {
        let number = std::str::from_utf8(word).ok().and_then(|word| word.parse::<f64>().ok());
        let number = number.ok_or_else(|| String::from("Invalid latency-tracking-info-percentiles parameters"))?;
        if !(0.0..=100.0).contains(&number) {
            return Err(String::from("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"));
        }
        let text = format!("{number:.6}");
        shown.push(text.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    Ok(Bytes::from(shown.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::config::table;

    fn set(name: &str, words: &[&str]) -> Result<String, String> {
        let (parameter, _) = table::find(name.as_bytes()).unwrap();
        let words: Vec<Bytes> = words.iter().map(|word| Bytes::from(*word)).collect();
        parse(parameter, &words, &Bytes::from(parameter.default)).map(|text| text.lossy().into_owned())
    }

    #[test]
    fn memory_has_units_of_1000_and_of_1024() {
        for (text, bytes) in [("100", 100), ("1k", 1000), ("1kb", 1024), ("2MB", 2 << 20), ("1gb", 1 << 30), ("7b", 7)]
        {
            assert_eq!(bytes_of(text.as_bytes()), Some(bytes));
        }
        assert_eq!(bytes_of(b"-1"), None);
        assert_eq!(bytes_of(b"1 mb"), None);
        assert_eq!(set("maxmemory", &["x"]), Err(String::from("argument must be a memory value")));
    }

    #[test]
    fn reasons_are_given_in_redis_words() {
        for (name, words, reason) in [
            ("appendonly", &["maybe"][..], "argument must be 'yes' or 'no'"),
            ("port", &["70000"], "argument must be between 0 and 65535 inclusive"),
            ("hz", &["fast"], "argument couldn't be parsed into an integer"),
            ("appendfsync", &["often"], "argument(s) must be one of the following: everysec, always, no"),
            ("save", &["3600"], "Invalid save parameters"),
            ("save", &["0", "1"], "Invalid save parameters"),
            ("maxmemory-clients", &["x"], "argument must be a memory or percent value"),
            ("maxmemory-clients", &["101%"], "percentage argument must be less or equal to 100"),
            ("unixsocketperm", &["1000"], "argument must be between 0 and 777 inclusive"),
            ("dbfilename", &["a/b"], "dbfilename can't be a path, just a filename"),
        ] {
            assert_eq!(set(name, words), Err(reason.to_owned()), "{name}");
        }
    }

    #[test]
    fn several_words_make_one_value() {
        assert_eq!(set("save", &["900", "1", "300", "10"]).unwrap(), "900 1 300 10");
        assert_eq!(set("save", &[""]).unwrap(), "");
        assert_eq!(
            set("client-output-buffer-limit", &["replica", "1mb", "0", "5"]).unwrap(),
            "normal 0 0 0 slave 1048576 0 5 pubsub 33554432 8388608 60"
        );
        assert_eq!(set("notify-keyspace-events", &["KEA"]).unwrap(), "AKE");
        assert_eq!(set("notify-keyspace-events", &["Elg"]).unwrap(), "glE");
        assert_eq!(set("shutdown-on-sigterm", &["now", "save"]).unwrap(), "save now");
    }
}
