//! SipHash-1-3 of a byte string in one go (Aumasson, Bernstein; the variant with one round a word and three at the end).
//!
//! Every look-up of a key hashes it. A hasher that takes its input in pieces has to keep what is left of a word between
//! them; with the whole text at hand there is nothing to keep.

/// The 64 bits of `text` under the key (`k0`, `k1`). O(len).
pub fn hash(k0: u64, k1: u64, text: &[u8]) -> u64 {
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, tail) = text.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        v[3] ^= word;
        round(&mut v);
        v[0] ^= word;
    }
    let mut last = (text.len() as u64) << 56;
    for (at, byte) in tail.iter().enumerate() {
        last |= u64::from(*byte) << (8 * at);
    }
    v[3] ^= last;
    round(&mut v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for _ in 0..3 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[inline]
fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[2] = v[2].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[1]);
    v[0] = v[0].wrapping_add(v[3]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;
    use std::hash::Hasher;

    #[test]
    fn it_is_the_siphash_of_the_crate_that_takes_pieces() {
        let text: Vec<u8> = (0..100u8).map(|n| n.wrapping_mul(37)).collect();
        for len in 0..=text.len() {
            let (k0, k1) = (0x9e37_79b9_7f4a_7c15u64.wrapping_mul(len as u64), !(len as u64));
            let mut hasher = SipHasher13::new_with_keys(k0, k1);
            hasher.write(&text[..len]);
            assert_eq!(super::hash(k0, k1, &text[..len]), hasher.finish(), "{len} bytes");
        }
    }
}
