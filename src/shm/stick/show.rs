//! The text form of tables and entries: what `show table` prints, and what keys look like in commands.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::entry::Entry;
use super::spec::{Data, Form, KeyType, Spec};
use super::table::Table;

impl Table {
    /// The line that begins a table.
    pub fn show_head(&self) -> String {
        let spec = self.spec();
        format!(
            "# table: {}, type: {}, size:{}, used:{}\n",
            spec.name,
            spec.key.word(),
            spec.size,
            self.used()
        )
    }
}

impl Entry<'_> {
    /// The line of an entry.
    pub fn show(&self, now_ms: u64, out: &mut String) {
        let spec = self.table.spec();
        // the position stands where HAProxy shows an address: it names the entry, nothing more
        let _ = write!(out, "{:#x}: key=", (self.number() + 1) << 6);
        show_key(spec, &self.key(), out);
        let exp = if spec.expire.is_some() { self.expires_in(now_ms) } else { 0 };
        let _ = write!(out, " use={} exp={exp}", self.holders());
        for store in &spec.stores {
            for nth in 0..store.count {
                self.show_value(store.data, nth, store.period, now_ms, out);
            }
        }
        out.push('\n');
    }

    fn show_value(&self, data: Data, nth: usize, period: u32, now_ms: u64, out: &mut String) {
        let value = self.get(data, nth, now_ms).unwrap_or(0);
        let word = if data.is_array() { element(data, nth) } else { data.word().to_owned() };
        let _ = match data.form() {
            Form::Rate => write!(out, " {word}({period})={value}"),
            Form::Name => write!(out, " {word}={}", self.name(data).as_deref().unwrap_or("-")),
            Form::Number | Form::Big => write!(out, " {word}={value}"),
        };
    }
}

/// `gpc_rate` number 3 is `gpc3_rate`.
fn element(data: Data, nth: usize) -> String {
    let (front, back) = data.word().split_at(3);
    format!("{front}{nth}{back}")
}

/// Appends a key as users write it.
pub fn show_key(spec: &Spec, key: &[u8], out: &mut String) {
    let _ = match (spec.key, key) {
        (KeyType::Ip4, [a, b, c, d, ..]) => write!(out, "{}", Ipv4Addr::new(*a, *b, *c, *d)),
        (KeyType::Ip6, bytes) => {
            let raw: [u8; 16] = bytes.try_into().unwrap_or([0; 16]);
            write!(out, "{}", Ipv6Addr::from(raw))
        }
        (KeyType::Int, [a, b, c, d, ..]) => write!(out, "{}", u32::from_be_bytes([*a, *b, *c, *d])),
        (KeyType::Str, text) => {
            text.iter().take_while(|b| **b != 0).for_each(|b| show_byte(*b, out));
            Ok(())
        }
        (_, bytes) => bytes.iter().try_for_each(|b| write!(out, "{b:02X}")),
    };
}

fn show_byte(byte: u8, out: &mut String) {
    let _ = match byte {
        b'\t' => write!(out, "\\t"),
        b'\n' => write!(out, "\\n"),
        b'\r' => write!(out, "\\r"),
        0x1b => write!(out, "\\e"),
        b'\\' | b' ' | b'=' => write!(out, "\\{}", byte as char),
        0x21..=0x7e => write!(out, "{}", byte as char),
        _ => write!(out, "\\x{byte:02x}"),
    };
}

/// A key as users write it, as bytes; `None`: it is none of this type.
pub fn read_key(spec: &Spec, word: &str) -> Option<Vec<u8>> {
    Some(match spec.key {
        KeyType::Ip4 => word.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        KeyType::Ip6 => match word.parse::<Ipv4Addr>() {
            Ok(v4) => v4.to_ipv6_mapped().octets().to_vec(),
            Err(_) => word.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        },
        KeyType::Int => word.parse::<u32>().ok()?.to_be_bytes().to_vec(),
        KeyType::Str => spec.key_of(word.as_bytes()),
        KeyType::Bin => {
            let digits = word.as_bytes();
            let digit = |b: u8| (b as char).to_digit(16);
            let pairs = digits.chunks(2).map(|pair| match pair {
                [a, b] => Some((digit(*a)? << 4 | digit(*b)?) as u8),
                _ => None,
            });
            spec.key_of(&pairs.collect::<Option<Vec<u8>>>()?)
        }
    })
}
