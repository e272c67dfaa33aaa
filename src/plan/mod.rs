//! Floor 4: the compiled configuration, read-only. Imports base, expr, shm.
