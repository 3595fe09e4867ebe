//! `redis://[[user:]password@][host][:port][/db]`: the address of a server as redis-cli's `-u` takes it.

/// What a URI names; None for what it leaves out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uri {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub db: Option<u32>,
    pub user: Option<String>,
    pub password: Option<String>,
}

/// Reads a URI. Err: what redis-cli prints before it ends. `rediss://` is none that could be spoken here.
pub fn parse(text: &str) -> Result<Uri, String> {
    let rest = text.strip_prefix("redis://").ok_or("Invalid URI scheme")?;
    let mut uri = Uri::default();
    let rest = match rest.split_once('@') {
        None => rest,
        Some((login, rest)) => {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (decoded(user)?, password),
                None => (String::new(), login),
            };
            uri.user = (!user.is_empty()).then_some(user);
            uri.password = Some(decoded(password)?);
            rest
        }
    };
    let (address, db) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match address.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
        None => address.split_once(':').unwrap_or((address, "")),
    };
    uri.host = (!host.is_empty()).then(|| host.to_owned());
    if !port.is_empty() {
        uri.port = Some(port.parse().map_err(|_| "Invalid server port.".to_owned())?);
    }
    if !db.is_empty() {
        uri.db = Some(db.parse().unwrap_or(0));
    }
    Ok(uri)
}

/// `text` with its `%hh` as the bytes that they stand for.
fn decoded(text: &str) -> Result<String, String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
            return Err("Incomplete URI encoding".to_owned());
        };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or("Illegal character in URI encoding");
        out.push((digit(high)? * 16 + digit(low)?) as u8);
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_uri_names_is_found_and_what_it_leaves_out_is_none() {
        let all = parse("redis://alice:s3%3acret@10.0.0.1:7000/4").unwrap();
        let expected = Uri {
            host: Some("10.0.0.1".into()),
            port: Some(7000),
            db: Some(4),
            user: Some("alice".into()),
            password: Some("s3:cret".into()),
        };
        assert_eq!(all, expected);
        assert_eq!(parse("redis://"), Ok(Uri::default()));
        assert_eq!(parse("redis://h"), Ok(Uri { host: Some("h".into()), ..Uri::default() }));
        let v6 = Uri { host: Some("::1".into()), port: Some(6380), ..Uri::default() };
        assert_eq!(parse("redis://[::1]:6380"), Ok(v6));
        for login in ["redis://pw@", "redis://:pw@"] {
            assert_eq!(parse(login), Ok(Uri { password: Some("pw".into()), ..Uri::default() }), "{login}");
        }
    }

    #[test]
    fn what_is_no_uri_is_told_as_redis_cli_tells_it() {
        for (text, complaint) in [
            ("localhost:6379", "Invalid URI scheme"),
            ("redis://h:99999", "Invalid server port."),
            ("redis://a%2@h", "Incomplete URI encoding"),
            ("redis://a%zz@h", "Illegal character in URI encoding"),
        ] {
            assert_eq!(parse(text).unwrap_err(), complaint, "{text}");
        }
    }
}
