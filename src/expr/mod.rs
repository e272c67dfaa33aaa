//! Floor 3: samples, converters, patterns, log-format strings. Imports base, lang, wire, msg, shm.
