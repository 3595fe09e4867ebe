//! CRC-64/Jones, reflected: the checksum behind RDB files and DUMP payloads.

const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// `TABLES[0]` takes one byte forward, `TABLES[n]` a byte with n more behind it: eight bytes a step.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0u64; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut byte = 0;
    while byte < 256 {
        let mut crc = tables[0][byte];
        let mut table = 1;
        while table < 8 {
            crc = tables[0][(crc & 0xff) as usize] ^ crc >> 8;
            tables[table][byte] = crc;
            table += 1;
        }
        byte += 1;
    }
    tables
}

/// The checksum of `bytes` behind something whose checksum is `crc` (0: nothing).
pub fn crc64(mut crc: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        crc ^= u64::from_le_bytes(*word);
        let mut next = 0;
        for (index, table) in TABLES.iter().rev().enumerate() {
            next ^= table[(crc >> (8 * index) & 0xff) as usize];
        }
        crc = next;
    }
    rest.iter().fold(crc, |crc, byte| TABLES[0][((crc ^ u64::from(*byte)) & 0xff) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_the_published_check_value_in_one_go_and_in_parts() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(crc64(crc64(0, b"1234"), b"56789"), 0xe9c6_d914_c4b8_d9ca);
    }
}
