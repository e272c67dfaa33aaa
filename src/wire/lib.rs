//! Codecs: bytes in, values out.
