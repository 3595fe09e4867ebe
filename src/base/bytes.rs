//! A short byte string: what keys, arguments and values are made of.
//!
//! Redis is byte-wise everywhere; nothing here assumes UTF-8. Up to 16 bytes stand in the value itself, so a typical key
//! costs no allocation and a clone of it is a copy.

use smallvec::SmallVec;
use std::borrow::Borrow;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// An owned byte string, 24 bytes wide, without a heap allocation up to 16 bytes.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(SmallVec<[u8; 16]>);

impl Clone for Bytes {
    /// A copy of the memory: SmallVec's own clone goes byte by byte.
    fn clone(&self) -> Self {
        Bytes::copy(&self.0)
    }
}

impl Bytes {
    pub fn new() -> Self {
        Bytes(SmallVec::new())
    }

    pub fn copy(bytes: &[u8]) -> Self {
        Bytes(SmallVec::from_slice(bytes))
    }

    /// Appends `tail`; amortised O(len of tail).
    pub fn extend(&mut self, tail: &[u8]) {
        self.0.extend_from_slice(tail);
    }

    /// Grows with `fill` or cuts, to exactly `len` bytes.
    pub fn resize(&mut self, len: usize, fill: u8) {
        self.0.resize(len, fill);
    }

    /// The text as a person may read it: invalid UTF-8 becomes U+FFFD. For messages, never for data.
    pub fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The text as a server's messages repeat it: as C prints it, and every byte of that on the wire (see `carry`).
    pub fn printed(&self) -> std::borrow::Cow<'_, str> {
        super::carry::printed(&self.0)
    }

    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes::copy(bytes)
    }
}

impl<const N: usize> From<&[u8; N]> for Bytes {
    fn from(bytes: &[u8; N]) -> Self {
        Bytes::copy(bytes)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Bytes::copy(text.as_bytes())
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Bytes::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.len() <= 16 { Bytes::copy(&bytes) } else { Bytes(SmallVec::from_vec(bytes)) }
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(iter: I) -> Self {
        Bytes(iter.into_iter().collect())
    }
}

impl PartialEq<[u8]> for Bytes {
    fn eq(&self, other: &[u8]) -> bool {
        self.0.as_slice() == other
    }
}

impl PartialEq<str> for Bytes {
    fn eq(&self, other: &str) -> bool {
        self.0.as_slice() == other.as_bytes()
    }
}

impl PartialEq<&str> for Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.0.as_slice() == other.as_bytes()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
