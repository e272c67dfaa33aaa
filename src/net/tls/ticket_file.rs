//! Keys of tickets as operators give them: lines of base64, in a file that several boxes share or in a command.
//!
//! A key is 48 bytes (name, AES-128 and HMAC keys of 16 each) or 80 (name, two keys of 32), as `openssl rand -base64 80`
//! makes them.

use std::path::Path;

use lighterman_sys::tls::TicketKey;
use openssl::base64;
use openssl::sha::sha256;

/// Fewest keys of a file: one for tickets made before the last change, one that seals, one that the other boxes know already.
const KEYS_MIN: usize = 3;
/// Largest file that is read, bytes: thousands of keys.
const FILE_MAX: usize = 1 << 20;

/// What a file of keys holds.
pub struct KeyFile {
    /// The keys, oldest first.
    pub keys: Vec<TicketKey>,
    /// A hash of its content, to see whether it changed.
    pub content: u64,
}

/// Reads a file of keys; the error says what is wrong with which line.
pub fn load(path: &Path) -> Result<KeyFile, String> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read '{name}': {error}"))?;
    if bytes.len() > FILE_MAX {
        return Err(format!("'{name}' is too large for a file of ticket keys"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("'{name}' is not text"))?;
    let mut keys: Vec<TicketKey> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse(line).map_err(|what| format!("'{name}' line {}: {what}", number + 1))?;
        if keys.first().is_some_and(|first| first.short != key.short) {
            return Err(format!("'{name}' line {}: keys of 48 and of 80 bytes do not mix", number + 1));
        }
        keys.push(key);
    }
    if keys.len() < KEYS_MIN {
        return Err(format!("'{name}' has {} keys, at least {KEYS_MIN} are needed", keys.len()));
    }
    Ok(KeyFile { keys, content: short_hash(&bytes) })
}

/// Reads one key.
pub fn parse(text: &str) -> Result<TicketKey, &'static str> {
    const WRONG: &str = "not a key: 48 or 80 bytes in base64 are expected";
    let bytes = base64::decode_block(text.trim()).map_err(|_| WRONG)?;
    let (name, rest) = bytes.split_at_checked(16).ok_or(WRONG)?;
    let (aes, hmac) = rest.split_at(rest.len() / 2);
    let short = match aes.len() {
        16 if hmac.len() == 16 => true,
        32 if hmac.len() == 32 => false,
        _ => return Err(WRONG),
    };
    let mut key = TicketKey { name: [0; 16], aes: [0; 32], hmac: [0; 32], short };
    let rooms = [(&mut key.name[..], name), (&mut key.aes[..], aes), (&mut key.hmac[..], hmac)];
    for (room, bytes) in rooms {
        room.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }
    Ok(key)
}

/// A key as it stands in a file.
pub fn format(key: &TicketKey) -> String {
    base64::encode_block(&[&key.name[..], key.aes(), key.hmac()].concat())
}

/// The name under which a file's keys lie in shared memory.
pub fn place(path: &Path) -> u64 {
    short_hash(path.as_os_str().as_encoded_bytes())
}

fn short_hash(bytes: &[u8]) -> u64 {
    sha256(bytes).iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_written() {
        for len in [48usize, 80] {
            let bytes: Vec<u8> = (0..len as u8).collect();
            let text = base64::encode_block(&bytes);
            let key = parse(&text).unwrap();
            assert_eq!((key.short, key.name[15], key.aes[0]), (len == 48, 15, 16));
            assert_eq!(key.hmac[0], if key.short { 32 } else { 48 });
            assert_eq!(format(&key), text);
        }
        for bad in ["", "x", "AAAA", "====", &base64::encode_block(&[0; 64]), &base64::encode_block(&[0; 47])]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
