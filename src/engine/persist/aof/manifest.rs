//! The manifest of the append only file: which files make it up, in which order.
//!
//! One line a file: `file NAME seq NUMBER type b|h|i`. A base (at most one) holds a snapshot, the incremental files what
//! was written since, and history is what a rewrite has made useless and nobody has deleted yet.

use crate::base::{Bytes, quote};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    pub seq: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub base: Option<Part>,
    pub history: Vec<Part>,
    pub incr: Vec<Part>,
    /// The numbers last given out.
    pub base_seq: u64,
    pub incr_seq: u64,
}

impl Manifest {
    /// Err: the line's number, the line, and what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Manifest, (usize, String, &'static str)> {
        let mut manifest = Manifest::default();
        if text.is_empty() {
            return Err((0, String::new(), "Found an empty AOF manifest"));
        }
        for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if line[0] == b'#' {
                continue;
            }
            let shown = line.trim_ascii();
            let fault = match line.ends_with(b"\n") {
                true => manifest.add(shown).err(),
                false => Some("The AOF manifest file contains too long line"),
            };
            if let Some(fault) = fault {
                return Err((number + 1, String::from_utf8_lossy(shown).into_owned(), fault));
            }
        }
        Ok(manifest)
    }

    fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        const FORMAT: &str = "Invalid AOF manifest file format";
        let words = quote::split(line).map_err(|_| FORMAT)?;
        if words.len() < 6 || words.len() % 2 == 1 {
            return Err(FORMAT);
        }
        let value = |name: &str| {
            let mut pairs = words.chunks_exact(2);
            pairs.rfind(|pair| pair[0].eq_ignore_ascii_case(name.as_bytes())).map(|pair| &pair[1])
        };
        let name = value("file").ok_or(FORMAT)?.lossy().into_owned();
        if name.contains(['/', '\\']) {
            return Err("File can't be a path, just a filename");
        }
        let seq = value("seq").and_then(|seq: &Bytes| seq.lossy().parse().ok()).filter(|seq| *seq > 0).ok_or(FORMAT)?;
        let part = Part { name, seq };
        match value("type").and_then(|kind| kind.first()) {
            Some(b'b') if self.base.is_some() => return Err("Found duplicate base file information"),
            Some(b'b') => {
                self.base_seq = seq;
                self.base = Some(part);
            }
            Some(b'h') => self.history.push(part),
            Some(b'i') if self.incr.last().is_some_and(|last| seq <= last.seq) => {
                return Err("Found a non-monotonic sequence number");
            }
            Some(b'i') => {
                self.incr_seq = seq;
                self.incr.push(part);
            }
            Some(_) => return Err("Unknown AOF file type"),
            None => return Err(FORMAT),
        }
        Ok(())
    }

    pub fn text(&self) -> String {
        let base = self.base.iter().map(|part| (part, 'b'));
        let history = self.history.iter().map(|part| (part, 'h'));
        let incr = self.incr.iter().map(|part| (part, 'i'));
        let line = |(part, kind): (&Part, char)| {
            let name = if quoted(&part.name) { quote::repr(part.name.as_bytes()) } else { part.name.clone() };
            format!("file {name} seq {} type {kind}\n", part.seq)
        };
        base.chain(history).chain(incr).map(line).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incr.is_empty()
    }

    /// A name for a new base; the present one becomes history.
    pub fn new_base(&mut self, stem: &str, rdb: bool) -> String {
        if let Some(before) = self.base.take() {
            self.history.insert(0, before);
        }
        self.base_seq += 1;
        let name = format!("{stem}.{}.base.{}", self.base_seq, if rdb { "rdb" } else { "aof" });
        self.base = Some(Part { name: name.clone(), seq: self.base_seq });
        name
    }

    /// A name for a new incremental file.
    pub fn new_incr(&mut self, stem: &str) -> String {
        self.incr_seq += 1;
        let name = format!("{stem}.{}.incr.aof", self.incr_seq);
        self.incr.push(Part { name: name.clone(), seq: self.incr_seq });
        name
    }

    /// All incremental files but the last become history: a new base holds what they hold.
    pub fn retire_incr(&mut self) {
        let keep = self.incr.len().saturating_sub(1);
        for part in self.incr.drain(..keep) {
            self.history.insert(0, part);
        }
    }
}

/// Whether a name can only stand in quotes.
fn quoted(name: &str) -> bool {
    name.is_empty() || name.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'"' || byte == b'\'')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn a_manifest_reads_back() {
        let mut manifest = Manifest::default();
        manifest.new_base("appendonly.aof", true);
        manifest.new_incr("appendonly.aof");
        manifest.new_incr("appendonly.aof");
        manifest.new_base("appendonly.aof", false);
        manifest.retire_incr();
        let text = manifest.text();
        assert_eq!(
            text,
            "file appendonly.aof.2.base.aof seq 2 type b\nfile appendonly.aof.1.incr.aof seq 1 type h\n\
             file appendonly.aof.1.base.rdb seq 1 type h\nfile appendonly.aof.2.incr.aof seq 2 type i\n"
        );
        assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest));
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_said() {
        let fault = |text: &str| Manifest::parse(text.as_bytes()).unwrap_err().2;
        assert_eq!(fault(""), "Found an empty AOF manifest");
        assert_eq!(fault("file x seq 1\n"), "Invalid AOF manifest file format");
        assert_eq!(fault("file x seq 1 type z\n"), "Unknown AOF file type");
        assert_eq!(fault("file a/x seq 1 type b\n"), "File can't be a path, just a filename");
        assert_eq!(fault("file x seq 2 type i\nfile y seq 1 type i\n"), "Found a non-monotonic sequence number");
        let mut rng = Rng::new(8);
        for _ in 0..2000 {
            let text: Vec<u8> = (0..rng.below(60)).map(|_| b"file seq 1type bih\n\"x#\0"[rng.below(23)]).collect();
            let _ = Manifest::parse(&text);
        }
    }
}
