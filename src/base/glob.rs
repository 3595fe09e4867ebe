//! Redis' glob: `*`, `?`, `[a-z]`, `[^a]`, `\` as escape. Used by KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL patterns.
//!
//! It follows `stringmatchlen` of 7.2 in its corners too: an unclosed class ends with the pattern, `*` does not match
//! the empty string (commands answer a lone `*` before they ask), ranges compare bytes as signed, and past 1000 nested
//! stars nothing matches.

/// Redis stops here so that a hostile pattern cannot overflow the stack.
const NESTING_MAX: usize = 1000;

/// Does `pattern` match all of `text`? O(len * len) at worst, as `*` gives up on longer matches once the rest failed.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    Search { nocase: false, skip_longer: false }.matches(pattern, text, 0)
}

/// As [`matches`], with ASCII letters of either case equal.
pub fn matches_nocase(pattern: &[u8], text: &[u8]) -> bool {
    Search { nocase: true, skip_longer: false }.matches(pattern, text, 0)
}

/// True if `text` would be matched as itself only: no byte of it is special.
pub fn is_literal(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| b"*?[\\".contains(byte))
}

struct Search {
    nocase: bool,
    /// Set when what follows a `*` matches nowhere in the rest of the text: an earlier `*` need not try longer matches.
    skip_longer: bool,
}

impl Search {
    fn matches(&mut self, mut pattern: &[u8], mut text: &[u8], nesting: usize) -> bool {
        if nesting > NESTING_MAX {
            return false;
        }
        while let (Some(&first), Some(&byte)) = (pattern.first(), text.first()) {
            match first {
                b'*' => {
                    while pattern.get(1) == Some(&b'*') {
                        pattern = &pattern[1..];
                    }
                    if pattern.len() == 1 {
                        return true;
                    }
                    while !text.is_empty() {
                        if self.matches(&pattern[1..], text, nesting + 1) {
                            return true;
                        }
                        if self.skip_longer {
                            return false;
                        }
                        text = &text[1..];
                    }
                    self.skip_longer = true;
                    return false;
                }
                b'?' => pattern = &pattern[1..],
                b'[' => match self.class(&pattern[1..], byte) {
                    (true, rest) => pattern = rest,
                    (false, _) => return false,
                },
                _ => {
                    if first == b'\\' && pattern.len() >= 2 {
                        pattern = &pattern[1..];
                    }
                    if !self.equal(pattern[0], byte) {
                        return false;
                    }
                    pattern = &pattern[1..];
                }
            }
            text = &text[1..];
            if text.is_empty() {
                while pattern.first() == Some(&b'*') {
                    pattern = &pattern[1..];
                }
                break;
            }
        }
        pattern.is_empty() && text.is_empty()
    }

    /// Is `byte` in the class that begins `pattern` (behind its `[`)? And what follows the class.
    fn class<'p>(&self, mut pattern: &'p [u8], byte: u8) -> (bool, &'p [u8]) {
        let negated = pattern.first() == Some(&b'^');
        if negated {
            pattern = &pattern[1..];
        }
        let mut found = false;
        loop {
            match *pattern {
                // Unlike other bytes of a class, an escaped one counts case also where case is otherwise ignored.
                [b'\\', escaped, ..] => {
                    found |= escaped == byte;
                    pattern = &pattern[2..];
                }
                [b']', ..] => return (found != negated, &pattern[1..]),
                [] => return (found != negated, pattern),
                [from, b'-', to, ..] => {
                    found |= self.in_range(from, to, byte);
                    pattern = &pattern[3..];
                }
                [one, ..] => {
                    found |= self.equal(one, byte);
                    pattern = &pattern[1..];
                }
            }
        }
    }

    fn equal(&self, a: u8, b: u8) -> bool {
        if self.nocase { a.eq_ignore_ascii_case(&b) } else { a == b }
    }

    fn in_range(&self, from: u8, to: u8, byte: u8) -> bool {
        let (low, high) = if (from as i8) <= (to as i8) { (from, to) } else { (to, from) };
        let fold = |byte: u8| if self.nocase { byte.to_ascii_lowercase() as i8 } else { byte as i8 };
        (fold(low)..=fold(high)).contains(&fold(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn patterns_match_as_the_manual_says() {
        for (pattern, yes, no) in [
            ("h?llo", "hello", "hllo"),
            ("h*llo", "heeeello", "hell"),
            ("h*", "h", "xh"),
            ("h[ae]llo", "hallo", "hillo"),
            ("h[^e]llo", "hallo", "hello"),
            ("h[a-b]llo", "hbllo", "hcllo"),
            ("h[b-a]llo", "hallo", "hcllo"),
            ("session:*", "session:a1", "session"),
            ("a\\*b", "a*b", "axb"),
            ("[\\]]", "]", "\\"),
            ("a**b*", "aXXbYY", "aXX"),
            ("*a*b*c", "xxaxxbxxc", "xxaxxcxxb"),
        ] {
            assert!(matches(pattern.as_bytes(), yes.as_bytes()), "{pattern} {yes}");
            assert!(!matches(pattern.as_bytes(), no.as_bytes()), "{pattern} {no}");
        }
    }

    #[test]
    fn corners_are_those_of_redis() {
        assert!(!matches(b"*", b""), "commands answer a lone star themselves");
        assert!(matches(b"", b""));
        assert!(matches(b"[a", b"a"), "an unclosed class ends with the pattern");
        assert!(!matches(b"[", b"["));
        assert!(matches(b"[^", b"x"));
        assert!(matches(b"\\", b"\\"), "a backslash at the end is itself");
        assert!(matches(b"[a-", b"-"));
        assert!(!matches(b"[a-\xff]", b"b"), "a range compares signed bytes");
        assert!(matches_nocase(b"HeL[L-M]o", b"hElMO"));
        assert!(!matches_nocase(b"[\\A]", b"a"));
    }

    #[test]
    fn a_hostile_pattern_neither_hangs_nor_overflows() {
        let stars = b"*a".repeat(5000);
        assert!(!matches(&stars, &b"a".repeat(20_000)), "nesting is limited");
        let mut quadratic = b"a*".repeat(60);
        quadratic.push(b'b');
        assert!(!matches(&quadratic, &b"a".repeat(5000)));
    }

    /// The same language, told as a set of positions in the pattern: no recursion, no shortcuts. Classes are left out.
    fn plain_matches(pattern: &[u8], text: &[u8]) -> bool {
        let mut at = vec![false; pattern.len() + 1];
        at[0] = true;
        let spread = |at: &mut Vec<bool>| {
            for i in 0..pattern.len() {
                if at[i] && pattern[i] == b'*' {
                    at[i + 1] = true;
                }
            }
        };
        spread(&mut at);
        for &byte in text {
            let mut next = vec![false; pattern.len() + 1];
            for i in (0..pattern.len()).filter(|&i| at[i]) {
                match pattern[i] {
                    b'*' => next[i] = true,
                    b'?' => next[i + 1] = true,
                    literal => next[i + 1] |= literal == byte,
                }
            }
            spread(&mut next);
            at = next;
        }
        at[pattern.len()]
    }

    #[test]
    fn random_patterns_agree_with_a_plain_model_and_never_panic() {
        let mut rng = Rng::new(11);
        for case in 0..20_000 {
            let mut word = |letters: &[u8], least: usize| -> Vec<u8> {
                (0..least + rng.below(8)).map(|_| letters[rng.below(letters.len())]).collect()
            };
            let (pattern, text) = (word(b"ab*?", 0), word(b"ab", 1));
            assert_eq!(matches(&pattern, &text), plain_matches(&pattern, &text), "case {case}: {pattern:?} {text:?}");
            let wild = word(b"ab*?[]^-\\\xff\0", 0);
            matches(&wild, &text);
            matches_nocase(&wild, &text);
        }
    }
}
